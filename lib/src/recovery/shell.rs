//! Words as a shell reads them back.

/// One word of a shell, whatever is in it: in single quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn bash_reads_back_what_was_quoted() {
        for text in [
            "",
            "a b",
            "it's",
            "'",
            "''",
            "$HOME `id` \\ \" ! * ~ #x",
            "-n",
            "é☃",
            "a\nb",
            "}",
            "a}b${c",
        ] {
            let word = quoted(text);
            // Alone, and as what a variable has that is not set.
            let script = format!("x=${{x:-{word}}}; [[ $x == {word} ]] && printf %s {word}");
            let ran = Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(ran.stdout).unwrap(), text, "{script}");
        }
    }
}
