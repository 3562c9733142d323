package webhook

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

func TestBodyInPiecesIsThatInOnePiece(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringMatching(`[a-z]{0,20}`), 1, 20).Draw(t, "events")
		items := make([]destination.Item, len(texts))
		for i, text := range texts {
			items[i].Event = &event.Event{JSON: []byte(text)}
		}
		want := "[" + strings.Join(texts, ",") + "]"
		for name, p := range map[string]payload{"joined": joined(items), "in pieces": inPieces(items)} {
			if p.size != int64(len(want)) {
				t.Errorf("%s: size = %d, want %d", name, p.size, len(want))
			}
			for range 2 { // a body is opened again when it has to be sent again
				if err := iotest.TestReader(p.open(), []byte(want)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}

func TestLargeBatchesAreNotCopied(t *testing.T) {
	f, err := formOf(event.CloudEvents, true)
	if err != nil {
		t.Fatal(err)
	}
	e := &event.Event{JSON: bytes.Repeat([]byte("x"), 100_000)}
	p, err := f.pack([]destination.Item{{Event: e}, {Event: e}})
	if err != nil {
		t.Fatal(err)
	}
	if p.whole != nil || len(p.pieces) != 2 || &p.pieces[0][0] != &e.JSON[0] {
		t.Error("the events were copied")
	}
	b, err := io.ReadAll(p.open())
	if err != nil || int64(len(b)) != p.size {
		t.Errorf("read %d bytes, %v; want %d", len(b), err, p.size)
	}
}
