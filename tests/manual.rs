//! The manual pages and the completions of shells: generated from the command line's definition and
//! the senders' parameters, what is written by hand (packaging/man/*.in) held against the code.
//!
//! `UPDATE_GOLDEN=1 cargo test --test manual` writes packaging/man and packaging/completions anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use mxwatch::{cli::Cli, config, delivery::Parameter};

#[allow(dead_code, reason = "shared with the tests against real servers")]
mod servers;
use servers::program::{find, output};

/// When the pages were last looked through, as their foot shows it.
const DATE: &str = "2026-11-21";
/// What clap_mangen lets every part begin with: an apostrophe that every roff knows.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";
/// What their head says they belong to.
const MANUAL: &str = "mxwatch";

/// A file of the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    let path = project(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The command with everything that clap adds to it.
fn command() -> clap::Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    command
}

/// The text that these parts of a page render to, without what each of them begins with.
fn rendered(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut text = Vec::new();
    render(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap().replace(PREAMBLE, "");
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    text.replace(".br\n.br\n", ".br\n")
}

/// The page, its prose in short lines: mandoc asks for 80 columns, in which `§` counts as eight.
fn page(text: &str) -> String {
    let mut page = PREAMBLE.to_owned();
    let (mut verbatim, mut head) = (false, false);
    for line in text.lines() {
        verbatim = (verbatim || line == ".EX") && line != ".EE";
        if verbatim || head || line.starts_with(['.', '\'']) {
            page.push_str(line);
        } else {
            let mut column = 0;
            for word in line.split(' ') {
                if column > 0 && column + 1 + word.len() > 72 {
                    // A full stop or a quote begins a command only where a line begins.
                    page.push_str(if word.starts_with(['.', '\'']) { "\n\\&" } else { "\n" });
                    column = 0;
                } else if column > 0 {
                    page.push(' ');
                    column += 1;
                }
                page.push_str(word);
                column += word.len();
            }
        }
        page.push('\n');
        // The line after it is what the paragraph is about.
        head = line == ".TP";
    }
    page
}

fn page_of(command: clap::Command, name: &str) -> Man {
    let source = concat!("mxwatch ", env!("CARGO_PKG_VERSION"));
    Man::new(command)
        .title(name.to_uppercase())
        .section("8")
        .date(DATE)
        .source(source)
        .manual(MANUAL)
}

/// mxwatch(8): what is written by hand, around what the command line says of itself.
fn main_page() -> String {
    let page = page_of(command(), "mxwatch");
    let head = rendered(|out| {
        page.render_title(out)?;
        page.render_name_section(out)
    });
    let options = rendered(|out| {
        page.render_options_section(out)?;
        page.render_subcommands_section(out)
    });
    let options = options.replace(".SH SUBCOMMANDS\n", ".SH COMMANDS\n");
    let text = read("packaging/man/mxwatch.8.in");
    self::page(&text.replace("@head@\n", &head).replace("@options@\n", &options))
}

/// mxwatch-check(8) and the like.
fn page_of_a_command(sub: &clap::Command) -> String {
    let name = format!("mxwatch-{}", sub.get_name());
    let page = page_of(sub.clone(), &name);
    let text = rendered(|out| {
        page.render_title(out)?;
        page.render_name_section(out)?;
        page.render_synopsis_section(out)?;
        page.render_description_section(out)?;
        page.render_options_section(out)?;
        page.render_extra_section(out)
    });
    // What stands below the help of these commands is about nothing else.
    let text = text.replace(".SH EXTRA\n", ".SH \"EXIT STATUS\"\n");
    self::page(&(text + ".SH SEE ALSO\n.BR mxwatch (8),\n.BR mxwatch.toml (5)\n"))
}

/// mxwatch.toml(5): written by hand but for the parameters of senders, which the code describes.
fn configuration_page() -> String {
    let entry = |parameter: &Parameter| {
        [".TP\n.B ", parameter.key(), "\n", &roff(&parameter.meaning()), "\n"].concat()
    };
    let parameters: String = Parameter::ALL.iter().map(entry).collect();
    let title = format!(
        ".TH MXWATCH.TOML 5 \"{DATE}\" \"mxwatch {}\" \"{MANUAL}\"",
        env!("CARGO_PKG_VERSION")
    );
    let text = read("packaging/man/mxwatch.toml.5.in");
    page(&text.replace("@title@", &title).replace("@parameters@\n", &parameters))
}

/// Plain words with names in backticks, as man(7) wants them.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    let mut parts = escaped.split('`');
    let mut line = parts.next().unwrap_or_default().to_owned();
    for (at, part) in parts.enumerate() {
        line.push_str(if at % 2 == 0 { "\\fB" } else { "\\fR" });
        line.push_str(part);
    }
    line
}

fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::from([
        ("mxwatch.8".to_owned(), main_page()),
        ("mxwatch.toml.5".to_owned(), configuration_page()),
    ]);
    for sub in command().get_subcommands() {
        pages.insert(format!("mxwatch-{}.8", sub.get_name()), page_of_a_command(sub));
    }
    pages
}

fn completions() -> BTreeMap<String, String> {
    let shells =
        [(Shell::Bash, "mxwatch.bash"), (Shell::Zsh, "_mxwatch"), (Shell::Fish, "mxwatch.fish")];
    let completion = |shell| {
        let mut text = Vec::new();
        generate(shell, &mut Cli::command(), "mxwatch", &mut text);
        String::from_utf8(text).unwrap()
    };
    shells.map(|(shell, file)| (file.to_owned(), completion(shell))).into()
}

/// Holds the files of a folder against what they should be: those, and no others.
fn are_in(folder: &str, files: &BTreeMap<String, String>) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for (name, text) in files {
            fs::write(project(folder).join(name), text).unwrap();
        }
    }
    let again = "UPDATE_GOLDEN=1 cargo test --test manual writes it anew";
    for (name, wanted) in files {
        let found = read(&format!("{folder}/{name}"));
        for (number, (found, wanted)) in found.lines().zip(wanted.lines()).enumerate() {
            assert_eq!(found, wanted, "{folder}/{name}:{}: {again}", number + 1);
        }
        assert_eq!(found.len(), wanted.len(), "{folder}/{name}: {again}");
    }
    let found = fs::read_dir(project(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    let found = found
        .map(|name| name.into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_none_or(|kind| kind != "in"));
    assert_eq!(found.collect::<BTreeSet<_>>(), files.keys().cloned().collect(), "{folder}");
}

#[test]
fn the_pages_are_those_of_this_program() {
    are_in("packaging/man", &pages());
}

#[test]
fn the_completions_are_those_of_this_program() {
    are_in("packaging/completions", &completions());
}

/// The keys that the loader knows, by the header of their table (`Top`, `[probe]`, `[[resolver]]`): it
/// lists them where it meets one that it does not know.
fn known_keys() -> BTreeMap<String, BTreeSet<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mxwatch.toml");
    let keys_of = |text: &str| -> Option<BTreeSet<String>> {
        fs::write(&file, text).unwrap();
        let nothing: [(&str, &str); 0] = [];
        let problems = config::load(&file, nothing).unwrap_err().to_string();
        let (_, list) = problems.split_once("unknown key `q`; known here are ")?;
        Some(list.lines().next()?.split(", ").map(str::to_owned).collect())
    };
    let top = keys_of("q = 1").expect("the keys of the top");
    let mut known = BTreeMap::new();
    for name in &top {
        for header in [format!("[{name}]"), format!("[[{name}]]")] {
            if let Some(keys) = keys_of(&format!("{header}\nq = 1")) {
                known.insert(header, keys);
            }
        }
    }
    known.insert("Top".to_owned(), top);
    // Too many for a line of the loader.
    let parameters = Parameter::ALL.iter().map(|parameter| parameter.key().to_owned());
    let sender = std::iter::once("like".to_owned()).chain(parameters).collect();
    known.insert("[sender.NAME]".to_owned(), sender);
    known
}

/// The headings of mxwatch.toml(5) that are tables, with the head of each of its entries, such as
/// `interval = "60s"`.
fn entries_of_the_page() -> BTreeMap<String, Vec<String>> {
    let page = configuration_page().replace("\\-", "-");
    let (_, page) = page.split_once("\n.SS ").unwrap();
    let (page, _) = page.split_once("\n.SH ").unwrap();
    let sections = page.split("\n.SS ").map(|section| {
        let heading = section.lines().next().unwrap().to_owned();
        let heads = section.split("\n.TP\n").skip(1).map(|entry| entry.lines().next().unwrap());
        let entries = heads.flat_map(|head| match head.strip_prefix(".BR ") {
            Some(names) => names.split(" \", \" ").map(str::to_owned).collect(),
            None => vec![head.strip_prefix(".B ").expect(head).to_owned()],
        });
        (heading, entries.collect())
    });
    sections.collect()
}

#[test]
fn every_key_of_the_configuration_is_in_its_page_and_no_other() {
    let key = |entry: &String| entry.split(' ').next().unwrap_or_default().to_owned();
    let page: BTreeMap<String, BTreeSet<String>> = entries_of_the_page()
        .into_iter()
        .map(|(heading, entries)| (heading, entries.iter().map(key).collect()))
        .collect();
    let known = known_keys();
    assert_eq!(page.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>());
    for (heading, keys) in &known {
        assert_eq!(&page[heading], keys, "{heading} in packaging/man/mxwatch.toml.5.in");
    }
}

#[test]
fn defaults_in_the_page_are_those_of_the_shipped_configuration() {
    let page = entries_of_the_page();
    let mut heading = "Top".to_owned();
    let mut compared = 0;
    for line in read("config/mxwatch.toml").lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with('[') {
            heading = line.to_owned();
        } else if let Some((key, _)) = line.split_once(" = ")
            // These have no default.
            && !["helo_name", "destination_files"].contains(&key)
        {
            assert!(page[&heading].contains(&line.to_owned()), "{heading} {line}");
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn the_pages_name_no_flag_that_there_is_not() {
    let command = command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    let flags: BTreeSet<_> =
        commands.flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long).collect();
    for (name, page) in pages() {
        for after in page.replace("\\-", "-").split("--").skip(1) {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && !"-.".contains(c));
            let flag = after[..end.unwrap_or(after.len())].trim_end_matches('.');
            assert!(flags.contains(flag), "--{flag} in {name}");
        }
    }
}

#[test]
fn the_examples_of_the_pages_are_configurations() {
    let page = configuration_page().replace("\\-", "-");
    let examples = page.split("\n.EX\n").skip(1).filter_map(|rest| rest.split("\n.EE").next());
    for example in examples {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mxwatch.toml");
        fs::write(&file, example).unwrap();
        let nothing: [(&str, &str); 0] = [];
        let loaded = config::load(&file, nothing);
        assert!(loaded.is_ok(), "{example}\n{}", loaded.unwrap_err());
    }
}

/// Runs a program on a file of this name and text; it must have nothing to say.
fn says_nothing(program: &Path, args: &[&str], name: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, text).unwrap();
    let output = Command::new(program).args(args).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{name}\n{said}");
}

#[test]
fn mandoc_finds_nothing_to_say_about_the_pages() {
    let Some(mandoc) = find("mandoc", "mandoc") else { return };
    for (name, page) in pages() {
        says_nothing(&mandoc, &["-T", "lint"], &name, &page);
    }
}

#[test]
fn man_db_finds_the_name_of_every_page() {
    let Some(lexgrog) = find("lexgrog", "man-db") else { return };
    for (name, page) in pages() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(&name);
        fs::write(&file, page).unwrap();
        let said = output(Command::new(&lexgrog).arg(&file));
        let (what, _) = name.rsplit_once('.').unwrap();
        assert!(said.contains(&format!("\"{what} - ")), "{said}");
    }
}

#[test]
fn shells_can_read_their_completions() {
    let shells = [
        ("bash", "-n", "mxwatch.bash"),
        ("zsh", "-n", "_mxwatch"),
        ("fish", "--no-execute", "mxwatch.fish"),
    ];
    let completions = completions();
    for (shell, check, name) in shells {
        let Some(program) = find(shell, shell) else { continue };
        says_nothing(&program, &[check], name, &completions[name]);
    }
}
