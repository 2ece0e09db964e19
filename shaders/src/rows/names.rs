//! The ways' names: `alone`, `lanes-32`, `lanes-64x64`, `across-8`, with `-vec4`, `-keep` and `-subgroup` behind where that is wanted.

use std::fmt;
use std::str::FromStr;

use noyau_tensor::Error;

use super::Rows;

/// The size of workgroups where a name does not say.
const GROUP: u32 = 256;
/// How many words a name's `-keep` stands for.
const KEEP: u32 = 64;

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rows { lanes, group, across, vec4, keep, subgroup } = *self;
        match (lanes, across) {
            (0 | 1, _) => f.write_str("alone")?,
            (_, true) => write!(f, "across-{lanes}")?,
            (_, false) => write!(f, "lanes-{lanes}")?,
        }
        if lanes > 1 && group != GROUP {
            write!(f, "x{group}")?;
        }
        for (on, name) in [(vec4, "vec4"), (keep > 0, "keep"), (subgroup.is_some(), "subgroup")] {
            if on {
                write!(f, "-{name}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Rows {
    type Err = Error;

    /// `alone`, `lanes-N[xGROUP]` or `across-N[xGROUP]`, then any of `-vec4`, `-keep`, `-subgroup`.
    fn from_str(name: &str) -> Result<Rows, Error> {
        let wrong = || {
            Error::argument(
                "rows",
                format!(
                    "there is no way \"{name}\"; there are: alone, lanes-N[xGROUP] and across-N[xGROUP], each with -vec4, -keep or \
                     -subgroup behind it (N invocations a row and GROUP a workgroup, powers of two; N is 2 to GROUP, GROUP 32 to \
                     256, {GROUP} where it is not said)"
                ),
            )
        };
        let mut words = name.split('-');
        let mut rows = Rows::ALONE;
        match words.next() {
            Some("alone") => {}
            Some(kind @ ("lanes" | "across")) => {
                let sizes = words.next().ok_or_else(wrong)?;
                let (lanes, group) = sizes.split_once('x').map_or((sizes, None), |(lanes, group)| (lanes, Some(group)));
                rows.lanes = lanes.parse().map_err(|_| wrong())?;
                rows.group = group.map_or(Ok(GROUP), str::parse).map_err(|_| wrong())?;
                rows.across = kind == "across";
                let powers = rows.lanes.is_power_of_two() && rows.group.is_power_of_two();
                if !powers || rows.lanes < 2 || rows.lanes > rows.group || !(32..=256).contains(&rows.group) {
                    return Err(wrong());
                }
            }
            _ => return Err(wrong()),
        }
        for word in words {
            match word {
                "vec4" => rows.vec4 = true,
                "keep" => rows.keep = KEEP,
                "subgroup" => rows.subgroup = Some(0),
                _ => return Err(wrong()),
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_there_and_back() {
        for name in ["alone", "alone-vec4", "alone-keep", "lanes-8", "lanes-64x64-vec4-keep", "lanes-32-subgroup", "across-16-vec4"] {
            assert_eq!(name.parse::<Rows>().expect("is a way").to_string(), name);
        }
    }

    #[test]
    fn other_names_are_told_what_there_is() {
        for name in [
            "",
            "lane-8",
            "lanes",
            "lanes-0",
            "lanes-1",
            "lanes-3",
            "lanes-512",
            "lanes-8x4",
            "across-8x512",
            "alone-fast",
            "alone-8",
            "lanes-8x",
        ] {
            let error = name.parse::<Rows>().expect_err(name).to_string();
            assert!(error.contains(&format!("\"{name}\"")) && error.contains("alone, lanes-N[xGROUP] and across-N[xGROUP]"), "{error}");
        }
    }
}
