package composite

import (
	"slices"
	"strings"
)

// Keywords of connection strings, in lower case. One of login, or two of all, make a line of pairs a connection string.
var (
	passwordKeywords = []string{"password", "pwd"}
	odbcKeywords     = []string{"driver", "dsn", "filedsn"}
	adoKeywords      = []string{
		"data source", "initial catalog", "user id", "password", "provider", "integrated security",
	}
	otherKeywords = []string{
		"server", "address", "addr", "network address", "host", "hostname", "port", "database", "user", "user name",
		"username", "uid", "encrypt", "trusted_connection", "trustservercertificate",
	}
)

// A pair is KEYWORD=VALUE of a connection string.
type pair struct {
	keyword string // in lower case
	value   string // without its marks
	mark    byte   // that begins the value: a quote, or a brace; 0: none
}

// readPairs reads a line as a connection string.
func (s survey) readPairs(line string, around []level) bool {
	line = strings.TrimSpace(line)
	plain, jdbc := adoValue, false
	if rest, ok := strings.CutPrefix(line, "jdbc:sqlserver://"); ok {
		_, line, _ = strings.Cut(rest, ";")
		plain, jdbc = jdbcValue, true
	}
	pairs, ok := splitPairs(line)
	has := func(keywords ...string) bool {
		return slices.ContainsFunc(pairs, func(p pair) bool { return slices.Contains(keywords, p.keyword) })
	}
	known := 0
	for _, p := range pairs {
		if slices.Contains(slices.Concat(passwordKeywords, odbcKeywords, adoKeywords, otherKeywords), p.keyword) {
			known++
		}
	}
	switch {
	case !ok || known < 2 && !has(passwordKeywords...) && !jdbc:
		return false
	case jdbc:
	case has(odbcKeywords...):
		plain = odbcValue
	case !has(adoKeywords...):
		plain = adoOrODBC
	}
	for _, p := range pairs {
		switch inQuotes, quoted := inADOQuotes[p.mark]; {
		case quoted && plain.filter == "ado":
			s.within(p.value, inQuotes, around)
		case p.mark == '{' && plain.filter == "odbc":
			s.within(p.value, inBraces, around)
		case p.mark == 0:
			s.within(p.value, plain, around)
		}
	}
	return true
}

// splitPairs reads KEYWORD=VALUE with semicolons. It reports false if the line is anything else.
func splitPairs(line string) (pairs []pair, ok bool) {
	semicolon := false
	for line = strings.TrimLeft(line, " ;"); line != ""; line = strings.TrimLeft(line, " ;") {
		keyword, rest, found := strings.Cut(line, "=")
		p := pair{keyword: strings.ToLower(strings.TrimSpace(keyword))}
		if !found || !isKeyword(p.keyword) {
			return nil, false
		}
		rest = strings.TrimLeft(rest, " ")
		if rest != "" && strings.IndexByte("\"'{", rest[0]) >= 0 {
			if p.value, rest, found = cutMarked(rest); !found {
				return nil, false
			}
			p.mark = line[len(line)-len(rest)-len(p.value)-2]
			rest = strings.TrimLeft(rest, " ")
			if rest != "" && rest[0] != ';' {
				return nil, false
			}
		} else {
			end := strings.IndexByte(rest, ';')
			if end < 0 {
				end = len(rest)
			}
			p.value, rest = strings.TrimSpace(rest[:end]), rest[end:]
		}
		semicolon = semicolon || rest != ""
		pairs = append(pairs, p)
		line = rest
	}
	return pairs, semicolon
}

// cutMarked cuts a text after the mark that ends what its first byte begins. Two of them do not end it.
func cutMarked(text string) (value, after string, ok bool) {
	end := text[0]
	if end == '{' {
		end = '}'
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != end:
		case i+1 < len(text) && text[i+1] == end:
			i++
		default:
			return text[1:i], text[i+1:], true
		}
	}
	return "", "", false
}

// isKeyword reports whether a text can be the keyword of a pair: a letter, then letters, digits, spaces and a few more.
func isKeyword(text string) bool {
	const more = " _-."
	for i := range len(text) {
		if !isAlphanumeric(text[i]) && (i == 0 || strings.IndexByte(more, text[i]) < 0) {
			return false
		}
	}
	return text != "" && (text[0] < '0' || text[0] > '9')
}

// urlEnds are what ends a URL in a text: white space, quotes, and what no URL has.
const urlEnds = " \t\r\n\"'`<>;\\^{}|"

// readURLs reads the URLs of a line.
func (s survey) readURLs(line string, around []level) {
	for {
		i := strings.Index(line, "://")
		if i < 0 {
			return
		}
		head, rest := line[:i], line[i+len("://"):]
		end := strings.IndexAny(rest, urlEnds)
		if end < 0 {
			end = len(rest)
		}
		semicolon := end < len(rest) && rest[end] == ';'
		scheme := head[strings.LastIndexFunc(head, func(c rune) bool {
			return c >= 0x80 || !isAlphanumeric(byte(c)) && !strings.ContainsRune("+.-", c)
		})+1:]
		scheme = scheme[:min(len(scheme), 1)]
		if scheme != "" && isAlphanumeric(scheme[0]) && (scheme[0] < '0' || scheme[0] > '9') {
			s.readURL(rest[:end], semicolon, around)
		}
		line = rest[end:]
	}
}

// readURL reads a URL behind its ://. One that a semicolon ends is followed by something else: its last component may
// be of another syntax.
func (s survey) readURL(url string, semicolon bool, around []level) {
	authority, rest := cutBefore(url, "/?#")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, password, both := strings.Cut(authority[:at], ":")
		s.within(user, urlUser, around)
		if both {
			s.within(password, urlPassword, around)
		}
	}
	if semicolon {
		return
	}
	path, rest := cutBefore(rest, "?#")
	for segment := range strings.SplitSeq(path, "/") {
		s.within(segment, urlPath, around)
	}
	query, _ := cutBefore(rest, "#")
	for member := range strings.SplitSeq(strings.TrimPrefix(query, "?"), "&") {
		name, value, both := strings.Cut(member, "=")
		if both {
			s.within(value, urlQuery, around)
		}
		s.within(name, urlQueryName, around)
	}
}

// cutBefore cuts a text before the first of some bytes.
func cutBefore(text, ends string) (before, after string) {
	if i := strings.IndexAny(text, ends); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}
