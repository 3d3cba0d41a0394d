// Package password turns a policy into its password space, the set of all strings that satisfy it, and draws from it.
//
// It promises four things of a policy that [Compile] accepts:
//
//   - Uniform. Each password of the space is drawn with the same probability. There is no "required characters first,
//     then a shuffle", which prefers some passwords, and no modulo bias.
//   - Counted. The number of passwords is known before one is drawn, and so is the entropy ([Space.Entropy]). It is
//     exact for every rule but a dictionary and lists of many hundred forbidden words. There it is a proven lower
//     bound, and is shown as one.
//   - Decided. A policy is accepted or refused at once, in bounded time, and a refusal names a minimal group of rules
//     that conflict. Nothing is left to time out when a password is needed.
//   - Bounded. What a draw takes on average is known when the policy is accepted: about 20 microseconds at most for the
//     policies that people write, however tight they are (TestSweep), and 200 for any.
//
// It refuses what it cannot promise this of: characters that are not printable ASCII, policies below their min-entropy,
// and those that cannot be counted within the limits ("cannot be certified").
//
// # The packages
//
// This package is the face: policies, presets, what is wrong with a policy, fingerprints. What it is made of is below
// it:
//
//	internal/language       counts the strings of rules, and draws from them (the mathematics)
//	internal/automaton      the automata of words, patterns, runs and repeated characters
//	internal/phrase         the same for passphrases
//	internal/uniform        uniform numbers of random bytes, and why they are not biased (the randomness)
//	internal/passwordrules  Apple's grammar
//	internal/ascii          sets of characters, and the named classes
//
// # The rules
//
// The table in rules.go has a row for each key of a policy. What each means, on the strings over the alphabet, and how
// it is counted:
//
//	length          the number of characters is from Min to Max. The counts of the lengths are added up.
//	characters      the alphabet is the union of the charsets. From Min to Max characters of each appear; one that
//	                is in several charsets counts in each. Counted by atoms: see below.
//	sets            at least this many of the charsets appear, by one character or more. Counted with characters.
//	exclude         these characters do not appear: they leave the alphabet and the charsets.
//	first, last     the first or the last character is in one of the classes. These two places are filled first.
//	max-run         no character appears more often in a row. An automaton remembers the last character and its run.
//	max-sequence    no longer run of consecutive letters (case ignored) or digits, up or down, without wrapping. The
//	                runs that are one longer are forbidden words.
//	distinct        no character appears twice. An atom of s characters takes n places in s(s-1)...(s-n+1) ways.
//	forbid, login   these words do not appear, case ignored. Counted by an Aho-Corasick automaton.
//	forbid-patterns these match nowhere. Counted by the pattern's deterministic automaton over the alphabet.
//	dictionary      no word of the list appears, case ignored. Bounded: see below.
//
// # Counting
//
// Characters that no charset tells apart are an atom. The number of strings with given numbers of characters of each
// atom is a product of binomial coefficients and powers, and the number of strings that satisfy the charsets is a sum
// of such products ("compositions"). Where rules look at neighbours, their automata are multiplied, and the ways
// through the product are counted layer by layer ("trellis"). Both number the passwords too, from 0 to the size: a
// uniform number makes a uniform password. (Denise, Roques and Termier 2000; Goldberg and Sipser, "Compression and
// ranking", 1985.)
//
// Of words that are too many for an automaton, the number of strings that contain one is at most the sum, over words
// and positions, of the strings that contain this word at this position (union bound). What remains of the size is a
// lower bound. Rules that have too many states together for exact numbers are counted by probabilities in floating
// point, rounded to the safe side. Why this proves a bound is at the type walk of internal/language.
//
// # Drawing
//
// A password is drawn from a larger set, again and again until it satisfies all rules: from all strings of the
// alphabet, or from those that satisfy the rules that leave fewest, by their number. Of the sets that can be drawn
// from, it is the one that costs least, given the share of passwords in it. See internal/uniform for how random bytes
// become uniform characters and numbers.
package password
