package grammar

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"keyvault-passwords/internal/declaration/internal/strict"
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

const durationRemedy = "expected a duration such as 90d, 36h, P90D or PT12H"

// locateDuration reads a duration of at least one second.
func (r *reader) locateDuration(n *strict.Node, what string) Located[time.Duration] {
	d := r.locateGrace(n, what)
	if d.Given() && d.Value == 0 {
		r.Refuse(d.Place, what+" is 0", "expected a second or more; otherwise remove the key")
		return Located[time.Duration]{}
	}
	return d
}

// locateGrace reads a duration that may be 0.
func (r *reader) locateGrace(n *strict.Node, what string) Located[time.Duration] {
	remedy, text := durationRemedy, strict.Value(n)
	switch kind := strict.KindOf(n); kind {
	case strict.Integer:
		remedy = fmt.Sprintf("expected a unit, as in %sd or %sh", strict.Clip(text), strict.Clip(text))
	case strict.Mapping, strict.List, strict.Tagged:
		r.Refuse(r.Place(n), fmt.Sprintf("%s is %s", what, kind), remedy)
		return Located[time.Duration]{}
	}
	if better := durationHint(text); better != "" {
		remedy = better
	}
	duration, err := parseDuration(text)
	switch {
	case errors.Is(err, errTooLong):
		r.Refuse(r.Place(n), fmt.Sprintf("%s: %q %v", what, strict.Clip(text), err), "expected at most 3660d")
	case err != nil:
		r.Refuse(r.Place(n), fmt.Sprintf("%s: %q %v", what, strict.Clip(text), err), remedy)
	default:
		return locate(r, n, duration)
	}
	return Located[time.Duration]{}
}

// durationHint says how a text that is no duration is to be written, if it is clear what is meant; "" if it is not.
func durationHint(text string) string {
	plain := strings.ToLower(strings.ReplaceAll(text, " ", ""))
	for _, unit := range []string{"week", "day", "hour", "minute", "second"} {
		if number, ok := strings.CutSuffix(strings.TrimSuffix(plain, "s"), unit); ok {
			plain = number + unit[:1]
		}
	}
	switch _, err := parseDuration(plain); {
	case calendar().MatchString(text):
		return "expected days, as in 90d: months and years have no fixed length"
	case err == nil && len(text) <= maxText:
		return "expected " + plain
	case date().MatchString(text):
		return "expected how long after its creation, as in 90d: a date would pass, and each version needs its own"
	case fraction().MatchString(text):
		return "expected whole numbers, as in 1d12h"
	case strings.EqualFold(text, "never") || strings.EqualFold(text, "none"):
		return "remove the key"
	}
	return ""
}
