package password

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"slices"
	"strings"
	"sync"
)

// dictionaryFiles are the embedded word lists, each NAME.gz, with the licence that covers them. The binary carries the
// licence too, since it asks to go wherever the words go.
//
//go:embed dictionary/LICENSE dictionary/*.gz
var dictionaryFiles embed.FS

// dictionaries are the names of the lists.
var dictionaries = []string{"english"}

// Dictionaries returns the names of the dictionaries that a policy can name.
func Dictionaries() []string { return slices.Clone(dictionaries) }

// dictionaryWords returns the words of an embedded list, sorted, and whether there is such a list. The words are four
// or more lower-case ASCII letters, and none holds another: the list stands for all words that hold one of them.
//
// "english" is the 10,790 such words of SCOWL's sizes 10 to 50, American spelling, as Debian packages them (wamerican
// 2020.12.07-2). They stand for all 63,072 of its words of four or more lower-case letters; capitalised names are not
// among them. See http://wordlist.aspell.net and dictionary/LICENSE.
func dictionaryWords(name string) ([]string, bool) {
	if name != "english" {
		return nil, false
	}
	return english(), true
}

var english = sync.OnceValue(func() []string { return readDictionary("english") })

// readDictionary decompresses a list: about three milliseconds and half a megabyte. The file is part of the program,
// so that a read error means a broken build, which no user can do anything about.
func readDictionary(name string) []string {
	file, err := dictionaryFiles.ReadFile("dictionary/" + name + ".gz")
	if err != nil {
		panic(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		panic(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	return strings.Fields(string(text))
}
