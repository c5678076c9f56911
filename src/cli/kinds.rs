//! Kinds as users name them: singular or plural, several separated by commas.

use dbsnap::resource;

use super::error::Failure;
use super::near::nearest;

/// The registry's names of the kinds in a list of arguments.
pub(crate) fn parse(flag: &str, given: &[String]) -> Result<Vec<String>, Failure> {
    let names = given.iter().flat_map(|list| list.split(','));
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    let mut kinds = Vec::new();
    for name in names {
        let kind = singular(name)
            .ok_or_else(|| unknown(flag, name))?
            .to_owned();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

fn all() -> impl Iterator<Item = &'static str> {
    resource::ALL.iter().map(|kind| kind.name)
}

fn singular(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace(['_', ' '], "-");
    all().find(|kind| *kind == name || plural(kind) == name)
}

fn plural(kind: &str) -> String {
    match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    }
}

fn unknown(flag: &str, name: &str) -> Failure {
    let failure = Failure::usage(format!("{flag}: there is no kind `{name}`"));
    let failure = match nearest(name, all()).first() {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure,
    };
    failure.hint(format!(
        "the kinds are {}",
        all().collect::<Vec<_>>().join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_may_be_plural_and_listed() {
        let given = [
            "users,cluster-policies".to_owned(),
            "Job , users".to_owned(),
        ];
        let kinds = parse("--only", &given).unwrap();
        assert_eq!(kinds, ["user", "cluster-policy", "job"]);
    }

    #[test]
    fn an_unknown_kind_is_answered_with_the_nearest_and_all() {
        let failure = parse("--only", &["notebok".to_owned()]).unwrap_err();
        let text = failure.render();
        assert!(text.contains("did you mean `notebook`?"), "{text}");
        assert!(text.contains("service-principal"), "{text}");
    }
}
