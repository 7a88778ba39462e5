//! `mxwatch healthy`: exit 0 for an agent that answers, 1 with a reason for everything else.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use crate::harness::{Agent, run};

/// Asks at this URL; the exit status and what was said.
fn healthy(url: &str) -> (Option<i32>, String) {
    let ran = run(&["healthy", &format!("--url={url}")]);
    (ran.code, ran.stdout + &ran.stderr)
}

#[test]
fn a_running_agent_is_healthy() {
    let agent = Agent::start("helo_name = \"mail.example.org\"\n");
    let url = format!("http://{}", agent.address());
    assert_eq!(healthy(&url), (Some(0), format!("{url}: healthy\n")));
    // As any other URL of Prometheus' world it may end in a slash.
    assert_eq!(healthy(&format!("{url}/")), (Some(0), format!("{url}: healthy\n")));
    // That there is something else below a path is not missed.
    let (status, said) = healthy(&format!("{url}/elsewhere"));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.ends_with("/elsewhere: not healthy: the answer is 404 Not Found\n"), "{said}");
}

#[test]
fn nobody_there_is_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (status, said) = healthy(&url);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.starts_with(&format!("{url}: not healthy: no connection: ")), "{said}");
}

/// What is said of a server that does this with the only connection it takes.
fn said_of(serve: impl FnOnce(std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || serve(listener.accept().unwrap().0));
    let (status, said) = healthy(&url);
    server.join().unwrap();
    assert_eq!(status, Some(1), "{said}");
    said.strip_prefix(&format!("{url}: not healthy: ")).unwrap().to_owned()
}

#[test]
fn a_server_that_is_none_or_silent_is_not_healthy() {
    let said = said_of(|mut stream| {
        // It speaks first, as a mail server does.
        stream.write_all(b"220 mail.example.org ESMTP\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert!(said.starts_with("no answer: "), "{said}");
    // Until the other side has given up.
    let said = said_of(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert_eq!(said, "no answer within 4 s\n");
}
