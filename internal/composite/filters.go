package composite

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// A filter writes a part in the form that its reader expects. It is injective, and does not change its argument.
type filter struct {
	name   string
	doc    string // what it writes, for the reference
	write  func([]byte) []byte
	maxLen func(n int) int // the length of the longest text that it writes for n bytes

	// alphabet is what an encoding writes, with "=" last where it pads. "": it is none, and writes each byte by itself.
	alphabet string
}

// encodes reports whether what reads the text has to decode it afterwards.
func (f filter) encodes() bool { return f.alphabet != "" }

const alphanumerics = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// filters are in the order in which messages and the reference list them.
var filters = []filter{
	{
		name: "url", doc: "percent-encoded, except letters, digits and `-._~`: fit for any part of a URL",
		write: writeURL, maxLen: func(n int) int { return 3 * n },
	},
	{
		name: "json", doc: "escaped for the inside of a JSON string",
		write: writeJSON, maxLen: func(n int) int { return 6 * n },
	},
	{
		name: "xml", doc: "escaped for XML text, and for attributes in single or double quotes",
		write: writeXML, maxLen: func(n int) int { return 5 * n },
	},
	{
		name: "base64", doc: "base64 with padding",
		write: writeBase64, maxLen: func(n int) int { return base64.StdEncoding.EncodedLen(n) },
		alphabet: alphanumerics + "+/=",
	},
	{
		name: "base64url", doc: "base64 of the URL alphabet, without padding",
		write: writeBase64URL, maxLen: func(n int) int { return base64.RawURLEncoding.EncodedLen(n) },
		alphabet: alphanumerics + "-_",
	},
	{
		name: "odbc", doc: "in braces, as a value of an ODBC connection string",
		write: writeODBC, maxLen: func(n int) int { return 2*n + 2 },
	},
	{
		name: "ado", doc: "in double quotes, as a value of an ADO.NET connection string",
		write: writeADO, maxLen: func(n int) int { return 2*n + 2 },
	},
	{
		name: "shell", doc: "in single quotes, as one word of a POSIX shell",
		write: writeShell, maxLen: func(n int) int { return 4*n + 2 },
	},
}

// Filters returns the names of the filters, in the order of the reference.
func Filters() []string {
	var names []string
	for _, f := range filters {
		names = append(names, f.name)
	}
	return names
}

// FilterDoc returns a phrase that says what a filter writes, in Markdown; "" if there is no filter of that name.
func FilterDoc(name string) string {
	for _, f := range filters {
		if f.name == name {
			return f.doc
		}
	}
	return ""
}

// writeURL keeps the unreserved characters and encodes all others, the space as %20, so that it fits user information,
// a path segment and a query component. https://www.rfc-editor.org/rfc/rfc3986#section-2.3
func writeURL(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, b := range text {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', strings.IndexByte("-._~", b) >= 0:
			out = append(out, b)
		default:
			out = fmt.Appendf(out, "%%%02X", b)
		}
	}
	return out
}

// writeJSON escapes what a JSON string must not contain. https://www.rfc-editor.org/rfc/rfc8259#section-7
func writeJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, b := range text {
		switch {
		case b == '"', b == '\\':
			out = append(out, '\\', b)
		case b < ' ':
			out = fmt.Appendf(out, `\u%04x`, b)
		default:
			out = append(out, b)
		}
	}
	return out
}

// writeXML escapes markup, both quotes, and the white space that parsers normalize in attributes.
// https://www.w3.org/TR/xml/#syntax and https://www.w3.org/TR/xml/#AVNormalize
func writeXML(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, b := range text {
		switch b {
		case '&', '<', '>', '"', '\'', '\t', '\n', '\r':
			out = fmt.Appendf(out, "&#%d;", b)
		default:
			out = append(out, b)
		}
	}
	return out
}

func writeBase64(text []byte) []byte { return base64.StdEncoding.AppendEncode(nil, text) }

func writeBase64URL(text []byte) []byte { return base64.RawURLEncoding.AppendEncode(nil, text) }

// writeODBC puts the value in braces and doubles each closing brace, the only special character there.
// https://learn.microsoft.com/openspecs/windows_protocols/ms-odbcstr/55953f0e-2d30-4ad4-8e56-b4207e491409
func writeODBC(text []byte) []byte { return quote(text, '{', '}', "}}") }

// writeADO puts the value in double quotes and doubles each double quote, the only special character there.
// https://learn.microsoft.com/dotnet/api/system.data.common.dbconnection.connectionstring#remarks
func writeADO(text []byte) []byte { return quote(text, '"', '"', `""`) }

// writeShell puts the value in single quotes, where only the quote itself is special: each one ends the quotation,
// follows escaped, and begins a new quotation.
// https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02
func writeShell(text []byte) []byte { return quote(text, '\'', '\'', `'\''`) }

// quote puts text between open and end, and replaces each end in it by escaped.
func quote(text []byte, open, end byte, escaped string) []byte {
	out := make([]byte, 0, len(text)+2)
	out = append(out, open)
	for _, b := range text {
		if b == end {
			out = append(out, escaped...)
		} else {
			out = append(out, b)
		}
	}
	return append(out, end)
}
