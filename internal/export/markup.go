package export

import (
	"bufio"
	"html"
	"io"
	"math"
	"strconv"
)

// markup is a piece of a page. A constant of the code is one by itself; a text from outside is none, and the compiler
// says so. Attributes are always in double quotes.
type markup string

// A page writes markup and text, and keeps the first error.
type page struct {
	w   *bufio.Writer
	err error
}

func newPage(w io.Writer) *page { return &page{w: bufio.NewWriter(w)} }

// raw writes markup.
func (p *page) raw(m markup) *page { return p.write(string(m)) }

// text writes text, in an element or in an attribute, so that a reader of HTML takes it for nothing else.
func (p *page) text(text string) *page { return p.write(html.EscapeString(line(text))) }

// number writes a whole number as people read it: 12,345.
func (p *page) number(n int) *page { return p.write(grouped(n)) }

// plain writes a whole number as attributes have it.
func (p *page) plain(n int) *page { return p.write(strconv.Itoa(n)) }

// percent writes a part of a whole as a length: 12.5%.
func (p *page) percent(part, whole float64) *page {
	if whole == 0 {
		return p.write("0%")
	}
	return p.decimal(part / whole * 100).write("%")
}

// decimal writes a number with at most two digits after the point.
func (p *page) decimal(x float64) *page {
	return p.write(strconv.FormatFloat(math.Round(x*100)/100, 'f', -1, 64))
}

func (p *page) write(text string) *page {
	if p.err == nil {
		_, p.err = p.w.WriteString(text)
	}
	return p
}

func (p *page) end() error {
	if p.err != nil {
		return p.err
	}
	return p.w.Flush()
}

// grouped returns a number with a comma between thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// counted returns "1 error", "2,000 errors".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return grouped(n) + " " + noun
}
