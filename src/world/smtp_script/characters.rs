//! The servers one meets, by name.

use std::time::Duration;

use super::{Action, Script, Verb};

impl Script {
    /// Greets, takes every command and every message, and closes after QUIT.
    pub fn healthy(host: &str) -> Self {
        let ehlo = format!(
            "250-{host}\n250-PIPELINING\n250-SIZE 10485760\n250-8BITMIME\n250-SMTPUTF8\n\
             250 ENHANCEDSTATUSCODES"
        );
        let quit = Action::reply("221 2.0.0 Bye").then(Action::close());
        [
            (Verb::Data, "354 End data with <CR><LF>.<CR><LF>"),
            (Verb::Mail, "250 2.1.0 Ok"),
            (Verb::Message, "250 2.0.0 Ok: queued"),
            (Verb::Noop, "250 2.0.0 Ok"),
            (Verb::Rcpt, "250 2.1.5 Ok"),
            (Verb::Rset, "250 2.0.0 Ok"),
            (Verb::Starttls, "502 5.5.1 Command not implemented"),
            (Verb::Unknown, "500 5.5.2 Command not recognized"),
            (Verb::Vrfy, "252 2.5.2 Send some mail, I will try my best"),
        ]
        .into_iter()
        .fold(Self::default(), |script, (verb, reply)| script.on(verb, Action::reply(reply)))
        .on(Verb::Banner, Action::reply(&format!("220 {host} ESMTP")))
        .on(Verb::Ehlo, Action::reply(&ehlo))
        .on(Verb::Helo, Action::reply(&format!("250 {host}")))
        .on(Verb::Quit, quit)
    }

    /// Greets with this text, of several lines if need be.
    ///
    /// After `220` it goes on as a healthy server; after `421` it closes; after any other code it
    /// takes QUIT only and answers the rest with 503 (RFC 5321 §3.1).
    pub fn banner(text: &str) -> Self {
        let greeting = Action::reply(text);
        let script = Self::healthy(HOST);
        match text.get(..3) {
            Some("220") => script.on(Verb::Banner, greeting),
            Some("421") => script.on(Verb::Banner, greeting.then(Action::close())),
            _ => Verb::ALL
                .into_iter()
                .filter(|&verb| verb != Verb::Quit)
                .fold(script, |script, verb| script.on(verb, Action::reply("503 5.5.1 Not here")))
                .on(Verb::Banner, greeting),
        }
    }

    /// Accepts the connection and never says a word.
    pub fn silent() -> Self {
        Self::default()
    }

    /// Greets after a delay, then is healthy.
    pub fn slow_banner(delay: Duration) -> Self {
        let script = Self::healthy(HOST);
        let greeting = script.action(Verb::Banner).clone().after(delay);
        script.on(Verb::Banner, greeting)
    }

    /// Sends its greeting, one line of legal length, at a byte per second: it takes minutes.
    pub fn drip() -> Self {
        let greeting = format!("220 {HOST} {}", "patience ".repeat(40));
        let greeting = Action::drip(&greeting, Duration::from_secs(1));
        Self::healthy(HOST).on(Verb::Banner, greeting)
    }

    /// Resets every connection rather than greet.
    ///
    /// It leaves the client the time to see its connection made: a reset that comes sooner is
    /// reported by connect(2) or by the first read, as chance has it.
    pub fn resets_on_accept() -> Self {
        Self::default().on(Verb::Banner, Action::reset().after(CONNECT))
    }

    /// Closes every connection at once.
    pub fn closes_on_accept() -> Self {
        Self::default().on(Verb::Banner, Action::close())
    }

    /// Knows HELO only, as in RFC 821.
    pub fn ehlo_refused() -> Self {
        Self::healthy(HOST).on(Verb::Ehlo, Action::reply("502 5.5.1 Command not implemented"))
    }

    /// Greets, then takes neither EHLO nor HELO.
    pub fn helo_refused() -> Self {
        Self::ehlo_refused().on(Verb::Helo, Action::reply("550 5.7.1 Go away"))
    }

    /// Offers STARTTLS and has no TLS: it answers the command, and says more a moment later.
    pub fn starttls(reply: &str, more: Option<&str>) -> Self {
        let mut answer = Action::reply(reply);
        if let Some(more) = more {
            answer = answer.then(Action::reply(more).after(HELLO));
        }
        Self::healthy(HOST)
            .on(Verb::Ehlo, Action::reply(&format!("250-{HOST}\n250-8BITMIME\n250 STARTTLS")))
            .on(Verb::Starttls, answer)
    }

    /// Never ends its answer to EHLO.
    pub fn endless() -> Self {
        Self::healthy(HOST).on(Verb::Ehlo, Action::endless("250-AND-ANOTHER-EXTENSION"))
    }

    /// Greets with a mebibyte in one line that has no end.
    pub fn long_line() -> Self {
        Self::default().on(Verb::Banner, Action::long_line("220"))
    }

    /// Speaks another protocol.
    pub fn not_smtp() -> Self {
        let page = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        Self::default().on(Verb::Banner, Action::raw(page).then(Action::close()))
    }
}

/// How long a client on loopback has to notice that it is connected.
const CONNECT: Duration = Duration::from_millis(200);
/// How long a client on loopback has to begin its TLS handshake.
const HELLO: Duration = Duration::from_millis(200);
/// What a server calls itself where its name does not matter.
const HOST: &str = "mx.example.test";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_decides_how_the_session_goes_on() {
        let rcpt = |text| Script::banner(text).action(Verb::Rcpt).clone();
        assert_eq!(rcpt("220-a\n220 b"), Action::reply("250 2.1.5 Ok"));
        assert_eq!(rcpt("554 5.7.1 No"), Action::reply("503 5.5.1 Not here"));
        let busy = Script::banner("421 4.3.2 Busy").action(Verb::Banner).clone();
        assert_eq!(busy, Action::reply("421 4.3.2 Busy").then(Action::close()));
    }
}
