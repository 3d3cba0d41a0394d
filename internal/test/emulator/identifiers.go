package emulator

import (
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync"
)

// identifiers draws what the services name things with. A seed makes the sequence repeat.
type identifiers struct {
	mu     sync.Mutex
	source *rand.ChaCha8
}

func newIdentifiers(seed uint64) *identifiers {
	var key [32]byte
	if seed == 0 {
		_, _ = crand.Read(key[:]) // never fails: it ends the program instead
	} else {
		binary.LittleEndian.PutUint64(key[:], seed)
	}
	return &identifiers{source: rand.NewChaCha8(key)}
}

func (i *identifiers) draw() (b [16]byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	_, _ = i.source.Read(b[:]) // never fails
	return b
}

// version returns a version's ID: 32 hexadecimal digits.
func (i *identifiers) version() string { return fmt.Sprintf("%x", i.draw()) }

// guid returns a request's or a trace's ID.
func (i *identifiers) guid() string {
	b := i.draw()
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // RFC 9562, version 4
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

var (
	guidPattern   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	domainPattern = regexp.MustCompile(`^[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)+$`)
)
