package composite

import (
	"encoding/json"
	"encoding/xml"
	"slices"
	"strings"
	"unicode/utf8"
)

// A position is a kind of place in a kind of text, and what a text there must not have to be read as it is.
type position struct {
	where   string // for messages
	literal string // not "": beside letters and digits, only these are read as they are
	special string // these are not
	first   string // nor are these as the first character of what is read
	last    string // or as the last
	pairs   string // nor is the first of each two, if the text can have the second too

	escapes []string // the filters whose text is read as what they were given
	filter  string   // the filter to write
	marks   string   // the filter is to be written outside these, since it writes marks of its own
}

// A level is a position around a reference.
type level struct {
	position
	start, end int // the piece that what is read begins with, and the one that it ends with; -1: fixed text
}

// What RFC 3986 lets a component have as it is, beside letters and digits. A query is read as forms are: "+" is a
// space, and "&" and ";" end a member. https://www.rfc-editor.org/rfc/rfc3986#appendix-A and
// https://url.spec.whatwg.org/#application/x-www-form-urlencoded
const (
	unreserved = "-._~"
	subDelims  = "!$&'()*+,;="
)

var urlUser = position{
	where: "the user info of a URL", literal: unreserved + subDelims, escapes: []string{"url"}, filter: "url",
}

var urlPassword = position{
	where: "the user info of a URL", literal: unreserved + subDelims + ":", escapes: []string{"url"}, filter: "url",
}

var urlPath = position{
	where: "the path of a URL", literal: unreserved + subDelims + ":@", escapes: []string{"url"}, filter: "url",
}

var urlQuery = position{
	where: "the query of a URL", literal: unreserved + "!$'()*,=:@/?", escapes: []string{"url"}, filter: "url",
}

var urlQueryName = position{
	where: "the query of a URL", literal: unreserved + "!$'()*,:@/?", escapes: []string{"url"}, filter: "url",
}

var jsonString = position{
	where: "a JSON string", special: `"\` + controls, escapes: []string{"json"}, filter: "json",
}

// xmlText: "]]>" outside CDATA is an error.
var xmlText = position{
	where: "XML text", special: "<&\r", pairs: ">]", escapes: []string{"xml"}, filter: "xml",
}

var xmlAttribute = map[byte]position{
	'"':  {where: "an XML attribute", special: "<&\"\t\n\r", escapes: []string{"xml"}, filter: "xml"},
	'\'': {where: "an XML attribute", special: "<&'\t\n\r", escapes: []string{"xml"}, filter: "xml"},
}

// adoValue: ADO.NET reads a value up to a semicolon, without white space around it. One that begins with a quote is
// quoted, one that ends with a quote is refused, and "==" is part of a keyword.
// https://learn.microsoft.com/dotnet/api/system.data.common.dbconnection.connectionstring#remarks
var adoValue = position{
	where: "an ADO.NET connection string", special: ";" + controls, first: "\"'= ", last: "\"' ",
	escapes: []string{"ado"}, filter: "ado",
}

// adoOrODBC is a string whose keywords both have.
var adoOrODBC = position{
	where: "a connection string", special: ";" + controls, first: "\"'={ ", last: "\"' ",
	escapes: []string{"ado", "odbc"}, filter: "ado",
}

// odbcValue: ODBC has these in braces.
// https://learn.microsoft.com/sql/odbc/reference/syntax/sqldriverconnect-function#comments
var odbcValue = position{
	where: "an ODBC connection string", special: "[]{}(),;?*=!@" + controls, first: " ", last: " ",
	escapes: []string{"odbc"}, filter: "odbc",
}

// jdbcValue is in https://learn.microsoft.com/sql/connect/jdbc/building-the-connection-url#connection-properties
var jdbcValue = position{
	where: "a JDBC connection string", special: ";{}" + controls, first: " ", last: " ",
	escapes: []string{"odbc"}, filter: "odbc",
}

var inADOQuotes = map[byte]position{
	'"':  {where: "quotes in a connection string", special: `"`, filter: "ado", marks: "the quotes"},
	'\'': {where: "quotes in a connection string", special: `'`, filter: "ado", marks: "the quotes"},
}

var inBraces = position{where: "braces in a connection string", special: "}", filter: "odbc", marks: "the braces"}

// shellWord is what a shell reads: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02
var shellWord = map[byte]position{
	'\'': {where: "a shell word in single quotes", special: "'", filter: "shell", marks: "the quotes"},
	'"':  {where: "a shell word in double quotes", special: "\"\\$`", filter: "shell", marks: "the quotes"},
	0: {
		where: "a shell word", literal: "-._/:@%+=,~", first: "~", pairs: "~:", escapes: []string{"shell"},
		filter: "shell",
	},
}

const controls = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\v\f\r\x0e\x0f" +
	"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"

// surroundings returns what stands around each piece that is a reference, the outermost level first. A level is there
// only where the kind of text is clear:
//
//	JSON            the text is one valid object or list, and the reference is in a string
//	XML             the text is well-formed, and the reference is in text or in the value of an attribute
//	shell           a line assigns a word to a variable in capitals, or calls one of a few programs
//	ADO.NET, ODBC   a line consists of KEYWORD=VALUE with semicolons, and has keywords of a connection string
//	URL             scheme://, and the reference is in the user info, path or query
//
// A JSON string, the value of an attribute, a shell word and a value of a connection string may be one of these again.
func surroundings(pieces []piece) map[int][]level {
	var text strings.Builder
	for i, p := range pieces {
		if strings.ContainsFunc(p.text, isMark) || i > lastMark-firstMark {
			return nil // such a text is not what this is for
		}
		if p.name == "" {
			text.WriteString(p.text)
		} else {
			text.WriteRune(firstMark + rune(i))
		}
	}
	s := survey{}
	s.read(text.String(), nil)
	return s
}

// firstMark and lastMark are the ends of a private plane: a reference is one of its characters while its
// surroundings are read, which is a part of no syntax.
const firstMark, lastMark = 0xF0000, 0xFFFFD

func isMark(c rune) bool { return firstMark <= c && c <= lastMark }

func hasMark(text string) bool { return strings.ContainsFunc(text, isMark) }

// A survey has the levels around each reference.
type survey map[int][]level

// maxLevels is how deep texts are read within texts.
const maxLevels = 4

// read reads a text that stands in the levels given.
func (s survey) read(text string, around []level) {
	for _, c := range text {
		if isMark(c) {
			s[int(c-firstMark)] = around
		}
	}
	if len(around) == maxLevels || !hasMark(text) || s.readJSON(text, around) || s.readXML(text, around) {
		return
	}
	shell := isScript(text)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if hasMark(line) && !s.readShell(line, shell, around) && !s.readPairs(line, around) {
			s.readURLs(line, around)
		}
	}
}

// within reads a text as the whole content of a position.
func (s survey) within(content string, p position, around []level) {
	if !hasMark(content) {
		return
	}
	first, _ := utf8.DecodeRuneInString(content)
	last, _ := utf8.DecodeLastRuneInString(content)
	l := level{position: p, start: pieceOf(first), end: pieceOf(last)}
	s.read(content, append(slices.Clone(around), l))
}

// pieceOf returns the piece that a mark stands for; -1 if the character is none.
func pieceOf(c rune) int {
	if isMark(c) {
		return int(c - firstMark)
	}
	return -1
}

func (s survey) readJSON(text string, around []level) bool {
	if top := strings.TrimLeft(text, " \t\r\n"); top == "" || strings.IndexByte("{[", top[0]) < 0 ||
		!json.Valid([]byte(text)) {
		return false
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		start := i
		for i++; text[i] != '"'; i++ { // it ends: the text is valid
			if text[i] == '\\' {
				i++
			}
		}
		var content string
		if quoted := text[start : i+1]; hasMark(quoted) && json.Unmarshal([]byte(quoted), &content) == nil {
			s.within(content, jsonString, around)
		}
	}
	return true
}

func (s survey) readXML(text string, around []level) bool {
	if !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "<") || !isXML(text) {
		return false
	}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		start := d.InputOffset()
		token, err := d.Token()
		if err != nil {
			return true
		}
		switch source := text[start:d.InputOffset()]; token := token.(type) {
		case xml.StartElement:
			s.readAttributes(source, token.Attr, around)
		case xml.CharData:
			if !strings.HasPrefix(source, "<![CDATA[") {
				s.within(string(token), xmlText, around)
			}
		}
	}
}

// isXML reports whether a text is well-formed and has an element.
func isXML(text string) bool {
	d, elements := xml.NewDecoder(strings.NewReader(text)), false
	for {
		token, err := d.Token()
		if err != nil {
			return elements && d.InputOffset() == int64(len(text)) && err.Error() == "EOF"
		}
		if _, ok := token.(xml.StartElement); ok {
			elements = true
		}
	}
}

// readAttributes reads the values of a tag, whose source tells the quotes.
func (s survey) readAttributes(tag string, attributes []xml.Attr, around []level) {
	for _, a := range attributes {
		start := strings.IndexAny(tag, `"'`)
		if start < 0 {
			return
		}
		quote := tag[start]
		tag = tag[start+1:]
		tag = tag[strings.IndexByte(tag, quote)+1:]
		s.within(a.Value, xmlAttribute[quote], around)
	}
}

// programs are the first words of a line that is one of a shell.
var programs = []string{
	"export", "readonly", "env", "printf", "echo", "curl", "wget", "mysql", "mysqladmin", "psql", "mongosh",
	"redis-cli", "sshpass", "kubectl", "sudo",
}

// isScript reports whether a text says that it is one of a shell.
func isScript(text string) bool {
	first, _, _ := strings.Cut(text, "\n")
	words := strings.FieldsFunc(first, func(c rune) bool { return c == '/' || c == ' ' })
	return strings.HasPrefix(first, "#!") && len(words) > 1 && slices.ContainsFunc(words[1:], func(word string) bool {
		return slices.Contains([]string{"sh", "bash", "dash", "ksh", "zsh"}, word)
	})
}

// A quotation is a piece of a line of a shell.
type quotation struct {
	mark    byte // ' or "; 0: not quoted
	content string
	head    string // of an unquoted one: the NAME= before it; of a quoted one too
}

// readShell reads a line of a shell.
func (s survey) readShell(line string, script bool, around []level) bool {
	line = strings.TrimLeft(line, " \t")
	all, ok := quotations(line)
	if !ok || strings.HasPrefix(line, "#") {
		return false
	}
	rest, assigns := line, false
	for {
		name := assigned(rest)
		if name == "" {
			break
		}
		assigns = true
		end := wordEnd(rest)
		rest = strings.TrimLeft(rest[end:], " \t")
	}
	program, _, _ := strings.Cut(rest, " ")
	shell := script || slices.Contains(programs, program)
	if !shell && (!assigns || rest != "") {
		return false
	}
	for _, q := range all {
		if q.mark != 0 || shell {
			s.within(q.content, shellWord[q.mark], around)
		}
	}
	return shell || slices.ContainsFunc(all, func(q quotation) bool { return q.mark != 0 && hasMark(q.content) })
}

// assigned returns the name, in capitals, that the first word of a line is assigned to; "" if there is none.
func assigned(line string) string {
	name, _, ok := strings.Cut(line, "=")
	if !ok || name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != "" ||
		'0' <= name[0] && name[0] <= '9' {
		return ""
	}
	return name
}

// wordEnd returns where the first word of a line ends. The line's quotes are balanced.
func wordEnd(line string) int {
	var quote byte
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote == 0 && (c == ' ' || c == '\t'):
			return i
		case c == '\\' && quote != '\'':
			i++
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
	}
	return len(line)
}

// quotations returns the pieces of a line of a shell: what is between quotes, and what is between quotes and white
// space. It reports false if a quotation does not end in the line, or if something in it is expanded or redirected.
func quotations(line string) (all []quotation, ok bool) {
	var content strings.Builder
	var quote byte
	end := func() {
		text := content.String()
		if quote == 0 {
			if name := assigned(text); name != "" {
				text = text[len(name)+1:]
			}
		}
		all = append(all, quotation{mark: quote, content: text})
		content.Reset()
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != '\'' && (c == '$' || c == '`'), quote == 0 && c == '<' && strings.HasPrefix(line[i:], "<<"):
			return nil, false
		case c == '\\' && quote != '\'' && i+1 < len(line):
			if quote == '"' && strings.IndexByte("\"\\$`", line[i+1]) < 0 {
				content.WriteByte(c)
			}
			i++
			content.WriteByte(line[i])
		case quote == 0 && strings.IndexByte(" \t;&|()<>", c) >= 0:
			end()
		case quote == 0 && (c == '"' || c == '\''):
			end()
			quote = c
		case c == quote && quote != 0:
			end()
			quote = 0
		default:
			content.WriteByte(c)
		}
	}
	end()
	return all, quote == 0
}
