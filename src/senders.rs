//! `mxwatch senders`: which senders there are, what tells them apart, and every parameter of one.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::Arc,
};

use crate::{
    chosen,
    cli::SendersArgs,
    config::Config,
    delivery::{Confidence, Parameter, Sender, builtin},
    ended::Ended,
    explain::{report::wrapped, traits},
};

/// Lists all senders, or shows one.
pub fn run(args: &SendersArgs) -> io::Result<Ended> {
    let config = match chosen::configuration(args.config_file.as_deref(), || "localhost".into()) {
        Ok(config) => config,
        Err(problem) => {
            writeln!(io::stderr(), "{problem}")?;
            return Ok(Ended::Config);
        }
    };
    let text = match &args.name {
        None => list(&config),
        Some(name) => match config.sender(name) {
            Ok(sender) => show(&sender),
            Err(reason) => {
                writeln!(io::stderr(), "error: invalid value {name:?} for '[NAME]': {reason}")?;
                return Ok(Ended::Usage);
            }
        },
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Ended::Done)
}

fn list(config: &Config) -> String {
    let mut text = String::from(
        "Senders that can be judged; * marks those that are unless --sender names others.\n",
    );
    let built_in = builtin::all().iter();
    for sender in config.own_senders.iter().map(|own| &**own).chain(built_in) {
        let judged = config.senders.iter().any(|judged| judged.name == sender.name);
        let mark = if judged { '*' } else { ' ' };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{mark} {}: {}", sender.name, sender.about);
        let words = traits::of(&sender.behaviour).join("; ");
        for line in wrapped(&words, PROSE) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text.push_str(
        "\n`mxwatch senders NAME` shows every parameter of one, to make an own one of.\n",
    );
    text
}

/// All parameters, as a section of the configuration that changes nothing until a `#` is removed.
fn show(sender: &Sender) -> String {
    let base = builtin::get(&sender.name).or_else(|| builtin::get(&sender.kind));
    let own = base.is_none_or(|base| base.name != sender.name);
    let name: Arc<str> =
        if own { Arc::clone(&sender.name) } else { format!("our-{}", sender.name).into() };
    let header = if name.contains('.') { format!("{name:?}") } else { name.to_string() };
    let like = base.map_or(&sender.kind, |base| &base.name);
    let mut text = format!("# {}: {}.\n", sender.name, sender.about);
    text.push_str("# Remove the # from what is different at yours.\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "[sender.{header}]\nlike = \"{like}\"");
    let changed: Vec<Parameter> =
        base.map(|base| sender.differences(base).collect()).unwrap_or_default();
    for parameter in Parameter::ALL {
        let doubt = match sender.confidence(*parameter) {
            Confidence::High => "",
            Confidence::Medium => " (medium confidence: from the vendor's documents, or inferred)",
            Confidence::Low => " (low confidence: assumed)",
        };
        text.push('\n');
        for line in wrapped(&format!("{}{doubt}", parameter.meaning()), PROSE) {
            let _ = writeln!(text, "# {line}");
        }
        let mark = if changed.contains(parameter) { "" } else { "#" };
        // Texts, numbers, booleans and lists of them are written alike in JSON and TOML.
        let _ = writeln!(text, "{mark}{} = {}", parameter.key(), sender.behaviour.get(*parameter));
    }
    text
}

/// Characters of a line of prose.
const PROSE: usize = 90;
