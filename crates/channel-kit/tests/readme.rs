//! The program on the first screen of the README is the one that is compiled, and is ten
//! lines long.

#[test]
fn the_readme_shows_the_ten_lines_that_are_compiled() {
    let readme = include_str!("../../../README.md");
    let shown = readme
        .split_once("```rust\n")
        .and_then(|(_, rest)| rest.split_once("```"))
        .map(|(program, _)| program)
        .expect("a Rust program in the README");
    let compiled: String = include_str!("../../../examples/ten-lines/src/main.rs")
        .lines()
        .filter(|line| !line.starts_with("//!"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(shown, compiled);
    assert_eq!(shown.lines().count(), 10);
}
