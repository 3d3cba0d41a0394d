package password

import (
	"crypto/rand"
	"fmt"
	"io"
	"math/big"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/language"
	"keyvault-passwords/internal/password/internal/phrase"
	"keyvault-passwords/internal/password/internal/uniform"
	"keyvault-passwords/internal/sensitive"
)

// A Space is the password space of a policy: all strings that satisfy it. It is made by [Compile], is not empty, and is
// safe for use by several goroutines at once.
type Space struct {
	policy   Policy
	min, max int
	size     *big.Int
	exact    bool
	hundreds int // of a bit: 100*log2(size), rounded down

	strings *language.Counted // nil: the policy is one of passphrases
	phrases *phrase.Counted   // nil: it is one of characters
}

// Bits returns the entropy of a password in bits: log2 of the number of passwords, or of a lower bound of it if the
// space is not exact, rounded down to two decimals. So it never says too much. All passwords being equally likely, this
// is their Shannon entropy and their min-entropy.
func (s *Space) Bits() float64 { return float64(s.hundreds) / 100 }

// Exact reports whether Bits is the entropy itself. It is unless a dictionary, or forbidden words, patterns and runs
// together, are so many that only a bound can be computed: then Bits is a lower bound.
func (s *Space) Exact() bool { return s.exact }

// Entropy returns the entropy as people read it: "209.54 bits", or ">= 203.10 bits" if the space is not exact.
func (s *Space) Entropy() string {
	text := fmt.Sprintf("%d.%02d bits", s.hundreds/100, s.hundreds%100)
	if !s.exact {
		return ">= " + text
	}
	return text
}

// Lengths returns the number of characters of the shortest and the longest password, as far as the policy's length
// allows them. For passphrases, there are such passwords.
func (s *Space) Lengths() (shortest, longest int) { return s.min, s.max }

// Characters returns the characters that a password can have, by the policy's sets, words and classes: anywhere in it,
// as its first, and as its last. Rules that forbid more, such as patterns, do not count.
func (s *Space) Characters() (anywhere, first, last string) {
	whole, _ := resolve(s.policy)
	n := normalise(whole)
	if n.passphrase == nil {
		return n.alphabet.Chars(), n.first.Chars(), n.last.Chars()
	}
	words, digit := phrase.Words(), ""
	if n.passphrase.Capitalize {
		words = phrase.Capitalized()
	}
	if n.passphrase.Digit {
		digit = ascii.Digits
	}
	var initials, finals, all ascii.Mask
	for _, word := range words {
		all = all.Or(ascii.Of(word))
		initials = initials.Or(ascii.Of(word[:1]))
		finals = finals.Or(ascii.Of(word[len(word)-1:]))
	}
	all = all.Or(ascii.Of(digit))
	if n.passphrase.Words > 1 {
		all = all.Or(ascii.Of(n.passphrase.Separator))
	}
	return all.Chars(), initials.Chars(), finals.Or(ascii.Of(digit)).Chars()
}

// Fingerprint returns the fingerprint of the policy. See the function of that name.
func (s *Space) Fingerprint() string { return Fingerprint(s.policy) }

// Draw returns a password, each one of the space with the same probability. Randomness is crypto/rand's, and the error
// is that it could not be read.
func (s *Space) Draw() (sensitive.Value, error) {
	password, err := s.draw(rand.Reader)
	if err != nil {
		return sensitive.Value{}, err
	}
	return sensitive.New(password), nil
}

func (s *Space) draw(random io.Reader) ([]byte, error) {
	from := uniform.NewSource(random)
	if s.phrases != nil {
		phrase, err := s.phrases.Draw(from)
		if err != nil {
			return nil, fmt.Errorf("drawing a passphrase: %w", err)
		}
		return phrase, nil
	}
	password := make([]byte, s.max)
	length, err := s.strings.Draw(password, from)
	if err != nil {
		return nil, fmt.Errorf("drawing a password: %w", err)
	}
	return password[:length], nil
}
