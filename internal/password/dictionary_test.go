package password

import (
	"slices"
	"strings"
	"testing"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/lexicon"
)

func TestEnglish(t *testing.T) {
	words, ok := dictionaryWords("english")
	if !ok || len(words) != 10790 || !slices.IsSorted(words) {
		t.Fatalf("%d words, sorted: %t; want 10790", len(words), slices.IsSorted(words))
	}
	for _, word := range words {
		if len(word) < 4 || !ascii.HoldsAll(ascii.Lowers, word) {
			t.Errorf("%q: want four or more lower-case letters", word)
		}
	}
	if minimal := lexicon.Minimal(words); len(minimal) != len(words) {
		t.Errorf("%d of %d words hold another", len(words)-len(minimal), len(words))
	}
}

// TestEnglishStandsForItsWords: what is left out of the list holds what is in it.
func TestEnglishStandsForItsWords(t *testing.T) {
	words, _ := dictionaryWords("english")
	holdsWord := func(text string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
	}
	for _, text := range strings.Fields("password passwords letter welcome monkey dragon sunshine administrator " +
		"computer secret qwerty7password rhythm strengths keyboards vault azure xxzebraxx") {
		if !holdsWord(text) {
			t.Errorf("%q holds no word", text)
		}
	}
	for _, text := range strings.Fields("abc cat qzxw p4ssw0rd aaaa zzzz bcdf k9-x_the") {
		if holdsWord(text) {
			t.Errorf("%q holds a word", text)
		}
	}
}

func TestUnknownDictionary(t *testing.T) {
	for _, name := range []string{"", "English", "german", "../english"} {
		if words, ok := dictionaryWords(name); ok || words != nil {
			t.Errorf("there is a dictionary %q", name)
		}
	}
}

// TestDictionaryLicence: the licence asks to go wherever the words go, so it is part of the program.
func TestDictionaryLicence(t *testing.T) {
	text, err := dictionaryFiles.ReadFile("dictionary/LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"Copyright 2000-2011 by Kevin Atkinson", "WordNet 1.6 Copyright 1997",
		"Copyright 1993, Geoff Kuenning"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the licence lacks %q", part)
		}
	}
}

func BenchmarkReadDictionary(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if len(readDictionary("english")) == 0 {
			b.Fatal("no words")
		}
	}
}
