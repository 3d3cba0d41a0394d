//go:build ignore

// This program makes dictionary/english.gz from a list of words, one a line, as Debian's package wamerican installs it:
//
//	go run dictionary_generate.go /usr/share/dict/american-english
//
// It takes the words of four or more lower-case ASCII letters and drops each that holds another of them: what holds
// "passwords" holds "password", so the rule "no word of the list" stays the same rule. That leaves a sixth of the
// words, which makes the file small, loading fast and the counting of what is left over sharp.
package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"log"
	"os"
	"regexp"
	"slices"
	"strings"
)

const shortest = 4

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	words := regexp.MustCompile(`(?m)^[a-z]{4,}$`).FindAllString(string(text), -1)
	kept := minimal(words)
	log.Printf("%d words, of which %d hold no other", len(words), len(kept))
	if err := os.WriteFile("dictionary/english.gz", compressed(kept), 0o644); err != nil {
		log.Fatal(err)
	}
}

// minimal returns, sorted, the words that hold no other word.
func minimal(words []string) []string {
	slices.SortFunc(words, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
	kept := map[string]bool{}
	for _, word := range words {
		if !holdsAny(word, kept) {
			kept[word] = true
		}
	}
	return slices.DeleteFunc(slices.Sorted(slices.Values(words)), func(w string) bool { return !kept[w] })
}

func holdsAny(word string, words map[string]bool) bool {
	for start := range word {
		for end := start + shortest; end <= len(word); end++ {
			if words[word[start:end]] {
				return true
			}
		}
	}
	return false
}

func compressed(words []string) []byte {
	var file bytes.Buffer
	w, err := gzip.NewWriterLevel(&file, gzip.BestCompression)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := w.Write([]byte(strings.Join(words, "\n") + "\n")); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	return file.Bytes()
}
