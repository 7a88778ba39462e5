//! dnsdist in front of a name server: a load balancer that was set up to fail for one type.

use std::{fs, net::IpAddr, process::Command};

use tempfile::TempDir;

use super::{
    bind::Dig,
    program::{Program, find},
};

/// A running dnsdist; dropping it ends it.
pub(crate) struct Dnsdist {
    _program: Program,
    _dir: TempDir,
}

impl Dnsdist {
    /// Hands what comes in at port 53 of one address to the name server at another, but for
    /// queries of a type, which it answers with SERVFAIL. `None` where dnsdist is missing.
    pub(crate) fn start(at: IpAddr, to: IpAddr, failing: &str) -> Option<Self> {
        let (dnsdist, dig) = (find("dnsdist", "dnsdist")?, Dig::find()?);
        let dir = TempDir::new().unwrap();
        let conf = dir.path().join("dnsdist.conf");
        let text = format!(
            "setLocal('{at}:53')\nsetACL({{'0.0.0.0/0'}})\nsetSecurityPollSuffix('')\n\
             newServer({{address='{to}:53', healthCheckMode='up'}})\n\
             addAction(QTypeRule(DNSQType.{failing}), RCodeAction(DNSRCode.SERVFAIL))\n"
        );
        fs::write(&conf, text).unwrap();
        let mut command = Command::new(dnsdist);
        command.arg("--config").arg(&conf).args(["--supervised", "--disable-syslog"]);
        let mut program = Program::start(&mut command, dir.path());
        let answers = || dig.norecurse((at, 53).into(), ".", failing).status == "servfail";
        let ready = program.wait_until(answers);
        assert!(ready, "{}", program.said());
        Some(Self { _program: program, _dir: dir })
    }
}
