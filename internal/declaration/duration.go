package declaration

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxDuration is the longest duration: ten years. It keeps sums far from overflow, and finds typing errors.
const maxDuration = 3660 * 24 * time.Hour

// The two spellings of a duration: 90d, 36h, 1d12h; and ISO 8601's P90D, P2W, PT12H, P1DT12H, without years and months,
// whose length varies. Fractions are refused.
const (
	plainDuration = `^(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?$`
	isoDuration   = `^P(?:([0-9]+)W)?(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)S)?)?$`
)

var (
	plain = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(plainDuration) })
	iso   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(isoDuration) })
)

// calendar matches durations of months or years: 3mo, 1 year, P1M, P1Y6M.
var calendar = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i:^[0-9]+ *(mo|y))|^P([0-9]+[YMWD])*[0-9]+[YM]`)
})

// date and fraction match what people write in place of a duration: 2027-01-31, and 1.5d.
var (
	date     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}`) })
	fraction = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]+[.,][0-9]+ *[wdhms]`) })
)

const week = 7 * 24 * time.Hour

var units = [...]time.Duration{week, 24 * time.Hour, time.Hour, time.Minute, time.Second}

var (
	errDuration = errors.New("is not a duration")
	errTooLong  = errors.New("is longer than ten years")
)

// parseDuration reads a duration of whole seconds, from 0 to ten years.
func parseDuration(text string) (time.Duration, error) {
	match := plain().FindStringSubmatch(text)
	if match == nil {
		match = iso().FindStringSubmatch(text)
	}
	if match == nil || strings.Join(match[1:], "") == "" || strings.HasSuffix(text, "T") {
		return 0, errDuration
	}
	var total time.Duration
	for i, digits := range match[1:] {
		if digits == "" {
			continue
		}
		number, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || number > int64(maxDuration/units[i]) {
			return 0, errTooLong
		}
		total += time.Duration(number) * units[i]
	}
	if total > maxDuration {
		return 0, errTooLong
	}
	return total, nil
}
