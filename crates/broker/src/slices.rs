//! Parts what goes to a server into calls, each of which one deadline is enough for.

/// How many bytes one call carries at most; what is larger by itself goes alone.
pub const SLICE_BYTES: usize = 8 << 20;

/// Parts items into slices of at most `most` items, and of [`SLICE_BYTES`] bytes as `size` counts them.
///
/// An item that is larger by itself is a slice of its own. Nothing is left out, and the order is kept.
pub fn slices<T>(items: &[T], most: usize, size: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut bytes = 0_usize;
        let fits = |item: &&T| {
            bytes = bytes.saturating_add(size(item));
            bytes <= SLICE_BYTES
        };
        let length = rest.iter().take(most).take_while(fits).count().max(1).min(rest.len());
        let (slice, others) = rest.split_at(length);
        rest = others;
        (!slice.is_empty()).then_some(slice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sizes: &[usize], expected: &[&[usize]]) {
        assert_eq!(slices(sizes, 3, |size| *size).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn slices_hold_so_many_items_and_bytes() {
        const HALF: usize = SLICE_BYTES / 2;
        check(&[], &[]);
        check(&[1, 2, 3, 4], &[&[1, 2, 3], &[4]]);
        check(&[HALF, HALF, 1], &[&[HALF, HALF], &[1]]);
        check(&[HALF, HALF + 1, 0], &[&[HALF], &[HALF + 1, 0]]);
        check(&[usize::MAX, 1, usize::MAX], &[&[usize::MAX], &[1], &[usize::MAX]]);
    }
}
