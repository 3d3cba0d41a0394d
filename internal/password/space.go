package password

import (
	"crypto/rand"
	"fmt"
	"io"
	"math/big"

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
