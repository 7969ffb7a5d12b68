/** English words that stand in every text and say little of what it is about. */
export const COMMON_WORDS: ReadonlySet<string> = new Set(
  `a about after again all also am an and any are around as at away back be because been but by came can could day did do down each even ever every
  for from get go got had has have he her here him his how i if in into is it its just like lot made many me more much my next no not now of off on
  once one or other our out over put said saw see she so some than that the their them then there they things this time to together too tried two
  under until up us very want wanted was way we well went were what when where which while who why will with would you your`.split(/\s+/),
);
