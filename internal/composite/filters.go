package composite

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// A filter writes a part in the form that some reader will take apart again. It is injective, and it leaves its argument
// as it is.
type filter struct {
	name   string
	doc    string // what it writes, for the reference
	write  func([]byte) []byte
	maxLen func(n int) int // the greatest length it makes of n bytes
}

// filters are the filters, in the order in which messages and the reference list them.
var filters = []filter{
	{"url", "percent-encoded but for letters, digits and `-._~`: fit for any part of a URL", writeURL, times(3, 0)},
	{"json", "escaped for the inside of a JSON string", writeJSON, times(6, 0)},
	{"xml", "escaped for XML text and for attributes in either quotes", writeXML, times(5, 0)},
	{"base64", "base64 with padding", writeBase64(base64.StdEncoding), base64.StdEncoding.EncodedLen},
	{"base64url", "base64 of the URL alphabet, without padding", writeBase64(base64.RawURLEncoding), base64.RawURLEncoding.EncodedLen},
	{"odbc", "in braces, as a value of an ODBC connection string", writeODBC, times(2, 2)},
	{"ado", "in double quotes, as a value of an ADO.NET connection string", writeADO, times(2, 2)},
	{"shell", "in single quotes, as one word of a POSIX shell", writeShell, times(4, 2)},
}

// Filters returns the names of the filters.
func Filters() []string {
	var names []string
	for _, f := range filters {
		names = append(names, f.name)
	}
	return names
}

// FilterDoc says in a phrase what the filter of that name writes; "" if there is none.
func FilterDoc(name string) string {
	for _, f := range filters {
		if f.name == name {
			return f.doc
		}
	}
	return ""
}

// times returns the bound of a filter that writes up to factor bytes for one, and constant bytes around them all.
func times(factor, constant int) func(int) int {
	return func(n int) int { return factor*n + constant }
}

// writeURL leaves the unreserved characters and encodes all others, the space as %20: user information, path segment and
// query component all read it back. https://www.rfc-editor.org/rfc/rfc3986#section-2.3
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

// writeJSON escapes what must not stand in a JSON string as it is. https://www.rfc-editor.org/rfc/rfc8259#section-7
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

func writeBase64(encoding *base64.Encoding) func([]byte) []byte {
	return func(text []byte) []byte { return encoding.AppendEncode(nil, text) }
}

// writeODBC puts the value in braces, where only the closing brace is special and is doubled.
// https://learn.microsoft.com/openspecs/windows_protocols/ms-odbcstr/55953f0e-2d30-4ad4-8e56-b4207e491409
func writeODBC(text []byte) []byte { return quote(text, '{', '}', "}}") }

// writeADO puts the value in double quotes, where only the double quote is special and is doubled.
// https://learn.microsoft.com/dotnet/api/system.data.common.dbconnection.connectionstring#remarks
func writeADO(text []byte) []byte { return quote(text, '"', '"', `""`) }

// writeShell puts the value in single quotes, where nothing is special but the quote itself: that ends the quotation,
// stands escaped, and begins another. https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02
func writeShell(text []byte) []byte { return quote(text, '\'', '\'', `'\''`) }

// quote puts text between open and end, with escaped for each end in it.
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
