/** A count in words: "1 class", "2 classes", "60,000 images". `many` is for nouns whose plural is not made by an s. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
