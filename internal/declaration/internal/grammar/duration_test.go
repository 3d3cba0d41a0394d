package grammar

import (
	"errors"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/declaration/internal/strict"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "36h": 36 * time.Hour, "2w": 14 * day, "30m": 30 * time.Minute, "45s": 45 * time.Second,
		"1w2d3h4m5s": 9*day + 3*time.Hour + 4*time.Minute + 5*time.Second, "1d12h": 36 * time.Hour, "007d": 7 * day,
		"P90D": 90 * day, "P2W": 14 * day, "PT12H": 12 * time.Hour, "PT5M": 5 * time.Minute, "PT1S": time.Second,
		"P1DT12H": 36 * time.Hour, "P1W2DT3H4M5S": 9*day + 3*time.Hour + 4*time.Minute + 5*time.Second,
		"0h": 0, "P0D": 0, "3660d": maxDuration, "P3660D": maxDuration, "316224000s": maxDuration,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "d", "90", "90 d", " 90d", "90d ", "90D", "-90d", "+90d", "1.5d", "1h1d", "1d1d", "90days", "1y", "1M",
		"d90",
		"P", "PT", "P1DT", "p90d", "P90d", "P1Y", "P3M", "PT1D", "P1H", "P-1D", "P1.5D", "-P1D", "1d\n", "٣d",
	} {
		if got, err := parseDuration(text); !errors.Is(err, errDuration) {
			t.Errorf("parseDuration(%q) = %v, %v; want that it is no duration", text, got, err)
		}
	}
	for _, text := range []string{
		"3661d", "3660d1s", "524w", "P99999D", strings.Repeat("9", 400) + "d", "9223372036854775807s", "316224001s",
	} {
		if got, err := parseDuration(text); !errors.Is(err, errTooLong) {
			t.Errorf("parseDuration(%q) = %v, %v; want that it is too long", text, got, err)
		}
	}
}

// BenchmarkParseDurationOfDigits reads a duration as long as the declaration may be: it must not take long.
func BenchmarkParseDurationOfDigits(b *testing.B) {
	text := strings.Repeat("9", strict.MaxBytes) + "d"
	for b.Loop() {
		_, _ = parseDuration(text)
	}
}
