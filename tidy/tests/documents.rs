//! Documents that must not rot, and words that must not be committed.

use std::path::Path;

use regex::Regex;
use tidy::{read, root, tracked};

#[test]
fn the_house_has_its_papers() {
    let papers =
        ["README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile", ".ci/run"];
    for paper in papers {
        assert!(root().join(paper).is_file(), "{paper} is missing");
    }
}

#[test]
fn commands_in_the_documents_exist_in_the_makefile() {
    let makefile = read(Path::new("Makefile")).unwrap();
    let command = Regex::new(r"`make ([a-z-]+)").unwrap();
    for paper in ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "ARCHITECTURE.md"] {
        for found in command.captures_iter(&read(Path::new(paper)).unwrap()) {
            assert!(makefile.contains(&format!("\n{}:", &found[1])), "{paper} names `make {}`, the Makefile does not", &found[1]);
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#:]+)(#[^)]*)?\)").unwrap();
    let mut broken = Vec::new();
    for path in tracked(&["md"]).unwrap() {
        for found in link.captures_iter(&read(&path).unwrap()) {
            if !root().join(&path).parent().unwrap().join(&found[1]).exists() {
                broken.push(format!("{}: {}", path.display(), &found[1]));
            }
        }
    }
    assert!(broken.is_empty(), "dead links:\n{}", broken.join("\n"));
}

#[test]
fn no_machine_path_and_no_registry_host_is_committed() {
    let banned = Regex::new(r"/(work|root)/[a-z]|deb\.debian\.org|index\.crates\.io|static\.crates\.io|registry\.npmjs|files\.pythonhosted").unwrap();
    let mut broken = Vec::new();
    for path in tracked(&["md", "rs", "yml", "yaml", "toml", "sh", "json", "html"]).unwrap() {
        if path == Path::new("tidy/tests/documents.rs") {
            continue;
        }
        for (number, line) in read(&path).unwrap().lines().enumerate().filter(|(_, line)| banned.is_match(line)) {
            broken.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
        }
    }
    assert!(broken.is_empty(), "machine paths or hosts:\n{}", broken.join("\n"));
}

#[test]
fn every_shipped_rule_has_a_runbook_and_each_runbook_a_rule() {
    let url = Regex::new(r"runbook_url:\s*\S*?(docs/runbooks/[A-Za-z0-9]+\.md)").unwrap();
    let mut named = Vec::new();
    for path in tracked(&["yml"]).unwrap().iter().filter(|path| path.starts_with("rules") && path.components().count() == 2) {
        named.extend(url.captures_iter(&read(path).unwrap()).map(|found| found[1].to_owned()));
    }
    assert!(!named.is_empty(), "no rule under rules/ has a runbook_url");
    for runbook in &named {
        assert!(root().join(runbook).is_file(), "no {runbook}");
    }
    for path in tracked(&["md"]).unwrap().iter().filter(|path| path.starts_with("docs/runbooks")) {
        let name = path.display().to_string();
        assert!(name.ends_with("README.md") || named.contains(&name), "{name} belongs to no rule");
    }
}
