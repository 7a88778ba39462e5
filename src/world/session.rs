//! One SMTP session of the world, server side: reads lines, does what the script says.
//!
//! It keeps no SMTP state but whether a message is being sent: order of commands is the script's
//! affair. Input is bounded, and a client that goes away ends the session at once, even while the
//! script makes it wait.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    smtp::Shared,
    smtp_script::{Action, Script, Step, Verb},
};

/// Follows the script until either side has enough.
pub(super) async fn run(stream: TcpStream, script: &Script, shared: &Shared) {
    let mut session = Session { stream, unread: Vec::new(), ended: false };
    // Why a session ended is for the client to say.
    let _ = session.follow(script, shared).await;
}

struct Session {
    stream: TcpStream,
    /// Received and not yet looked at.
    unread: Vec<u8>,
    /// The client sends no more.
    ended: bool,
}

/// The session is over: the script or the client ended it.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Session {
    async fn follow(&mut self, script: &Script, shared: &Shared) -> Result<(), Over> {
        self.perform(script.action(Verb::Banner)).await?;
        loop {
            let line = self.line().await?;
            shared.received(&line);
            let verb = Verb::of_command(&line);
            if verb == Verb::Quit {
                shared.quit();
            }
            let action = script.action(verb);
            self.perform(action).await?;
            if verb == Verb::Data && action.invites_message() {
                while self.line().await? != b"." {}
                self.perform(script.action(Verb::Message)).await?;
            }
        }
    }

    async fn perform(&mut self, action: &Action) -> Result<(), Over> {
        for step in action.steps() {
            match step {
                Step::Close => {
                    self.take_leave().await;
                    return Err(Over);
                }
                Step::Drip { bytes, every } => {
                    for byte in bytes {
                        self.stream.write_all(&[*byte]).await?;
                        self.wait(*every).await?;
                    }
                }
                Step::Endless(bytes) => {
                    let chunk = bytes.repeat(CHUNK / bytes.len().max(1) + 1);
                    loop {
                        self.stream.write_all(&chunk).await?;
                    }
                }
                Step::Reset => {
                    self.stream.set_zero_linger()?;
                    return Err(Over);
                }
                Step::Send(bytes) => self.stream.write_all(bytes).await?,
                Step::Wait(delay) => self.wait(*delay).await?,
            }
        }
        Ok(())
    }

    /// Waits, unless the client goes away meanwhile and leaves nothing to be answered.
    async fn wait(&mut self, delay: Duration) -> Result<(), Over> {
        let end = sleep(delay);
        tokio::pin!(end);
        loop {
            let listening = !self.ended && self.unread.len() < UNREAD;
            tokio::select! {
                () = &mut end => return Ok(()),
                () = self.receive(), if listening => {
                    if self.ended && self.unread.is_empty() {
                        return Err(Over);
                    }
                }
            }
        }
    }

    /// The next line without its end; of an overlong one, the beginning.
    async fn line(&mut self) -> Result<Vec<u8>, Over> {
        let mut line = Vec::new();
        loop {
            let end = self.unread.iter().position(|&byte| byte == b'\n');
            let length = end.map_or(self.unread.len(), |end| end + 1);
            line.extend(self.unread.drain(..length).take(LINE - line.len()));
            if end.is_some() {
                let text = line.strip_suffix(b"\n").unwrap_or(&line);
                let length = text.strip_suffix(b"\r").unwrap_or(text).len();
                line.truncate(length);
                return Ok(line);
            }
            if self.ended {
                return Err(Over);
            }
            self.receive().await;
        }
    }

    async fn receive(&mut self) {
        self.unread.reserve(1024);
        match self.stream.read_buf(&mut self.unread).await {
            Ok(1..) => {}
            Ok(0) => self.ended = true,
            Err(_) => {
                self.ended = true;
                self.unread.clear();
            }
        }
    }

    /// Closes with FIN. Closing with unread input would make the system send RST, so what the
    /// client still has to say is read and dropped, for a while.
    async fn take_leave(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let rest = async {
            while !self.ended {
                self.unread.clear();
                self.receive().await;
            }
        };
        let _ = timeout(FAREWELL, rest).await;
    }
}

/// How much an endless reply writes at a time, in bytes.
const CHUNK: usize = 16 * 1024;
/// How long a closed session listens on.
const FAREWELL: Duration = Duration::from_secs(2);
/// The part of a line that is looked at, in bytes.
const LINE: usize = 4096;
/// What is taken in while the script waits, in bytes.
const UNREAD: usize = 64 * 1024;
