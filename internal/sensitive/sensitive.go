// Package sensitive holds a value that cannot be printed.
//
// A [Value] carries the bytes of a secret from where they are made to the line that passes them to the network. No
// verb of fmt, no encoder and no logger shows them: neither bare, nor in a field, nor in an unexported field of
// another struct, where fmt cannot call methods. A closure captures the bytes, and reflection sees the address of a
// function, never what it captured. The methods below only print a readable text instead of that address.
//
// [Value.Reveal] returns the bytes. Outside tests, every call of it is on the line that sends the value to the service
// it is for, and [Inspect] is called for tokens only. This lists the calls:
//
//	grep -rnE 'Reveal\(\)|sensitive\.Inspect' --include='*.go' . | grep -v _test.go
//
// A value that is computed from others ([Derive]) is computed inside Reveal and exists no earlier.
//
// The package does not wipe memory: the Azure SDK takes a value as a *string, which cannot be wiped.
package sensitive

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what is printed or encoded in place of a Value.
const redacted = "[redacted]"

// A Value is the bytes of a secret, or a token, that must not be printed. The zero Value is empty.
type Value struct{ reveal func() []byte }

// New returns a Value with b as its bytes. The caller must not use b afterwards.
func New(b []byte) Value { return Value{reveal: func() []byte { return b }} }

// Derive returns a Value that f computes from the bytes of parts, each time it is revealed. The function must return
// the same bytes for the same parts. It must not modify, keep or print the parts.
func Derive(f func(parts [][]byte) []byte, parts ...Value) Value {
	return Value{reveal: func() []byte {
		bytes := make([][]byte, len(parts))
		for i, part := range parts {
			bytes[i] = part.bytes()
		}
		return f(bytes)
	}}
}

// Reveal returns the bytes as a string, which is what the SDKs take. Call it only on the line that passes the value to
// the network.
func (v Value) Reveal() string { return string(v.bytes()) }

// Inspect calls f with v's bytes, to find out something about them that is not secret, such as the subject of a token.
// The function must not modify, keep or print them. It is for tokens: no generated value is inspected.
func Inspect(v Value, f func(b []byte)) { f(v.bytes()) }

func (v Value) bytes() []byte {
	if v.reveal == nil {
		return nil
	}
	return v.reveal()
}

// String implements [fmt.Stringer]. Like the methods below, it returns a fixed text in place of the bytes.
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
