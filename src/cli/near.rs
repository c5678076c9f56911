//! What a user may have meant: the names next to a name that is not there.

/// The most names that are worth suggesting.
const MOST: usize = 5;

/// The names nearest to `wanted`, best first; none that have little in common with it.
pub(crate) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted_lower = wanted.to_lowercase();
    let tolerated = (wanted_lower.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = Vec::new();
    for name in names {
        let lower = name.to_lowercase();
        let distance = if lower == wanted_lower {
            0
        } else if last_segment(&lower) == last_segment(&wanted_lower) {
            // The right object, looked for in the wrong folder.
            1
        } else {
            distance(&lower, &wanted_lower, tolerated)
        };
        if distance <= tolerated {
            near.push((distance, name));
        }
    }
    near.sort();
    near.truncate(MOST);
    near.into_iter().map(|(_, name)| name).collect()
}

fn last_segment(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// How many letters must be added, removed, replaced or swapped with their neighbour; anything above `most` may come
/// out as any larger number.
fn distance(a: &str, b: &str, most: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > most {
        return most + 1;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        if row.iter().all(|&distance| distance > most) {
            return most + 1;
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_what_was_meant() {
        let names = ["/Users/ana@example.com/report", "/Shared/etl/load", "job"];
        assert_eq!(nearest("/Users/ana@exmaple.com/report", names), [names[0]]);
        assert_eq!(nearest("/shared/ETL/load", names), [names[1]]);
        assert_eq!(nearest("/Shared/load", names), [names[1]]);
        assert_eq!(nearest("jbo", names), ["job"]);
        assert_eq!(nearest("something else", names), [""; 0]);
    }
}
