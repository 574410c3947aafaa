//! Paths of source files, as a reader wants them: without where somebody's compiler kept them.

/// Where this program was compiled; its own files are named from there, as the compiler was given them.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The part that says something.
///
/// The forms are rustc's: `/rustc/<commit>/library/..` for its own library, `/rust/deps/<crate>/..` for what that
/// is built on, `<toolchain>/lib/rustlib/src/rust/library/..` where its source is installed; and cargo's:
/// `<home>/registry/src/<index>/<crate>/..` and `<home>/git/checkouts/<crate>/<commit>/..`.
pub(super) fn readable(path: &str) -> &str {
    without_prefix(path).unwrap_or(path)
}

fn without_prefix(path: &str) -> Option<&str> {
    let behind = |mark: &str| path.split_once(mark).map(|(_, rest)| rest);
    let after_one = |rest: &'_ str| rest.find('/').map(|slash| slash + 1);
    if let Some(rest) = path.strip_prefix("/rustc/") {
        return rest.get(after_one(rest)?..);
    }
    if let Some(rest) = behind("/registry/src/") {
        return rest.get(after_one(rest)?..);
    }
    let own = path
        .strip_prefix(ROOT)
        .and_then(|rest| rest.strip_prefix('/'));
    path.strip_prefix("/rust/deps/")
        .or_else(|| behind("/lib/rustlib/src/rust/"))
        .or_else(|| behind("/git/checkouts/"))
        .or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, path: &str, expected: &str) {
        assert_eq!(readable(path), expected, "{rule}");
    }

    #[test]
    fn what_is_left_says_whose_file_it_is() {
        check("nothing", "", "");
        check(
            "rustc's own",
            "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/fmt/mod.rs",
            "library/core/src/fmt/mod.rs",
        );
        check(
            "its own crates",
            "/rust/deps/hashbrown-0.15.2/src/raw.rs",
            "hashbrown-0.15.2/src/raw.rs",
        );
        check(
            "its own, where installed",
            "/home/u/.rustup/toolchains/stable/lib/rustlib/src/rust/library/std/src/io/mod.rs",
            "library/std/src/io/mod.rs",
        );
        check(
            "a crate of the registry",
            "/home/u/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/serde-1.0.228/src/de.rs",
            "serde-1.0.228/src/de.rs",
        );
        check(
            "a crate from git",
            "/home/u/.cargo/git/checkouts/shop-1a2b/3c4d/src/lib.rs",
            "shop-1a2b/3c4d/src/lib.rs",
        );
        check("ours", &format!("{ROOT}/src/main.rs"), "src/main.rs");
        check("relative already", "src/main.rs", "src/main.rs");
        check(
            "another's",
            "/build/glibc/malloc.c",
            "/build/glibc/malloc.c",
        );
        check("cut short", "/rustc/5980", "/rustc/5980");
        check("cut short", "/registry/src/index", "/registry/src/index");
        check(
            "beside ours",
            &format!("{ROOT}er/a.rs"),
            &format!("{ROOT}er/a.rs"),
        );
    }
}
