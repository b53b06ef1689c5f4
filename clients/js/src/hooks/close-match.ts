/** Return the name that was probably meant, of those that there are. */
export function closeMatch(name: string, known: readonly string[], cutoff = 0.5): string | undefined {
  const rated = known.map((each) => ({ each, ratio: similarity(each, name) })).filter(({ ratio }) => ratio >= cutoff);
  rated.sort((a, b) => b.ratio - a.ratio || (a.each < b.each ? 1 : -1));
  return rated[0]?.each;
}

/** Return how alike two words are, from 0 to 1: twice what they share, of both lengths (Ratcliff and Obershelp). */
function similarity(a: string, b: string): number {
  const length = a.length + b.length;
  return length === 0 ? 1 : (2 * shared(a, b)) / length;
}

/** Count the characters of the longest common part, and of what is left and right of it. */
function shared(a: string, b: string): number {
  let [size, endA, endB] = [0, 0, 0];
  let above: number[] = [];
  for (let i = 0; i < a.length; i++) {
    const row: number[] = [];
    for (let j = 0; j < b.length; j++) {
      const run = a[i] === b[j] ? (above[j - 1] ?? 0) + 1 : 0;
      row[j] = run;
      if (run > size) [size, endA, endB] = [run, i + 1, j + 1];
    }
    above = row;
  }
  if (size === 0) return 0;
  return size + shared(a.slice(0, endA - size), b.slice(0, endB - size)) + shared(a.slice(endA), b.slice(endB));
}
