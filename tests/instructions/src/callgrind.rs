//! Counts instructions, by `valgrind --tool=callgrind`: they are nearly the same in each run and on each machine, so a
//! change that costs a few per cent is noticed without a quiet one.
//!
//! Beside them it counts atomic operations that no other thread may interrupt (`Ge`, callgrind's "global bus events"): a lock that is taken and given
//! back is two, and a count of owners one each way. They are exact.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a failure ends the program"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// Something to count: what makes it ready, and gives what is to be counted, once.
pub type Script = (&'static str, fn() -> Box<dyn FnMut()>);

/// How often a script runs while instructions are counted, and before, so that what is kept is there.
const ROUNDS: u32 = 50;

/// By how much a count of instructions may differ from what is written down.
const DRIFT: f64 = 0.03;

/// The `main` of a program that compares its scripts' counts with those in `table`, a file with one line for each: its
/// name, instructions, and atomic operations. With `UPDATE_INSTRUCTIONS` in the environment the file is written.
pub fn main(table: &str, scripts: &[Script]) -> ExitCode {
    if let Some(name) = env::var("INSTRUCTIONS_OF").ok().as_deref() {
        let (_, prepare) = scripts.iter().find(|(script, _)| *script == name).expect("a script's name");
        let mut script = prepare();
        (0..ROUNDS).for_each(|_| script());
        counted(&mut script);
        return ExitCode::SUCCESS;
    }
    let found: Vec<Counts> = scripts.iter().map(|(name, _)| count(name)).collect();
    if env::var_os("UPDATE_INSTRUCTIONS").is_some() {
        let lines =
            found.iter().map(|counts| format!("{:<32}{:>10}{:>7}\n", counts.name, counts.instructions, counts.atomics));
        fs::write(table, lines.collect::<String>()).expect("the table can be written");
        return ExitCode::SUCCESS;
    }
    let expected = read(Path::new(table));
    let mut failed = expected.len() != found.len();
    for counts in &found {
        let verdict = match expected.iter().find(|expected| expected.name == counts.name) {
            None => "not in the table".to_owned(),
            Some(expected) => counts.compare(expected),
        };
        failed |= !verdict.is_empty();
        println!("{:<32}{:>10}{:>7}  {verdict}", counts.name, counts.instructions, counts.atomics);
    }
    if failed {
        println!("{table} has other counts. If they are meant to be these, run this with UPDATE_INSTRUCTIONS=1.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Of one round.
struct Counts {
    name: String,
    instructions: u64,
    atomics: u64,
}

impl Counts {
    /// What is wrong, if anything. That less is needed is also to be written down, or half of it could come back unseen.
    fn compare(&self, expected: &Self) -> String {
        let drift = self.instructions as f64 / expected.instructions as f64 - 1.0;
        match () {
            () if drift.abs() > DRIFT => {
                format!("{:+.1} % instructions, from {}", 100.0 * drift, expected.instructions)
            }
            () if self.atomics != expected.atomics => format!("{} atomic operations before", expected.atomics),
            () => String::new(),
        }
    }
}

fn read(table: &Path) -> Vec<Counts> {
    let text = fs::read_to_string(table).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split_whitespace().rev();
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
        let (atomics, instructions) = (number(), number());
        let name: Vec<&str> = words.rev().collect();
        Counts { name: name.join(" "), instructions, atomics }
    };
    text.lines().map(line).collect()
}

fn count(name: &str) -> Counts {
    let program = env::current_exe().expect("this program has a path");
    let file: PathBuf = env::temp_dir().join(format!("sockeye-callgrind-{}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-bus=yes", "--toggle-collect=*callgrind::counted*"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .env("INSTRUCTIONS_OF", name)
        .output()
        .expect("valgrind is installed (Debian's package has this name)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    let profile = fs::read_to_string(&file).expect("callgrind has written its counts");
    drop(fs::remove_file(&file));
    let line = |name: &str| profile.lines().find_map(|line| line.strip_prefix(name)).map(str::split_whitespace);
    let (names, sums) = (line("events:").expect("names of counts"), line("totals:").expect("sums"));
    let sum = |wanted: &str| {
        let mut all = names.clone().zip(sums.clone());
        let (_, sum) = all.find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("{name}: no {wanted} in {said}"));
        sum.parse::<u64>().expect("a number") / u64::from(ROUNDS)
    };
    Counts { name: name.to_owned(), instructions: sum("Ir"), atomics: sum("Ge") }
}

/// What callgrind counts, by its name.
#[inline(never)]
fn counted(script: &mut dyn FnMut()) {
    (0..ROUNDS).for_each(|_| script());
}
