// Package sensitive holds a value that cannot be printed.
//
// A [Value] carries the bytes of a secret from the place that makes them to the line that hands them to the network. No
// verb of fmt, no encoder and no logger shows them: not bare, not in a field, and not in an unexported field of another
// struct, where fmt cannot call methods. What protects them there is that the bytes are captured by a closure:
// reflection sees the address of a function, never what it closes over. The methods below only make that readable.
//
// The way out for the bytes is [Value.Reveal], which belongs on the line that sends the value to the service it is for;
// [Inspect] and [Derive] hand them to a function. Each call of the three outside of tests is in the list of
// internal/values_test.go, which is compared with the program. What is computed by Derive is computed inside Reveal and
// exists no earlier.
//
// The package does not wipe memory and does not claim to: the Azure SDK takes a value as a *string, which cannot be
// wiped.
package sensitive

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted stands wherever a Value is printed or encoded.
const redacted = "[redacted]"

// A Value is the bytes of a secret, or a token, that must not be printed. The zero Value is empty.
type Value struct{ reveal func() []byte }

// New returns a Value of b's bytes, and takes b over: the caller must not keep it.
func New(b []byte) Value { return Value{reveal: func() []byte { return b }} }

// Derive returns a Value whose bytes are f of the bytes of parts, computed each time they are revealed. The function f
// must return the same bytes for the same parts, must not modify or keep them, and must not print them.
func Derive(f func(parts [][]byte) []byte, parts ...Value) Value {
	return Value{reveal: func() []byte {
		bytes := make([][]byte, len(parts))
		for i, part := range parts {
			bytes[i] = part.bytes()
		}
		return f(bytes)
	}}
}

// Reveal returns the bytes, as the string that the SDKs take. It belongs on the line that hands them to the network.
func (v Value) Reveal() string { return string(v.bytes()) }

// Inspect calls f with v's bytes, to tell something of them that is no secret, such as the subject of a token. The
// function must not modify, keep or print them. It is for tokens; nothing inspects a generated value.
func Inspect(v Value, f func(b []byte)) { f(v.bytes()) }

func (v Value) bytes() []byte {
	if v.reveal == nil {
		return nil
	}
	return v.reveal()
}

// String, GoString, Format, LogValue, MarshalText and MarshalJSON print a fixed text in place of the bytes.
func (v Value) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (v Value) GoString() string { return redacted }

// Format implements [fmt.Formatter] for every verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler].
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements [encoding/json.Marshaler].
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
