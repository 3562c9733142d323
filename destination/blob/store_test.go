package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testStore is what every [Store] has to pass. container exists or is made, and
// read returns what is stored.
func testStore(t *testing.T, s Store, container string, read func(container, name string) ([]byte, error)) {
	t.Helper()
	t.Run("put", func(t *testing.T) {
		const name = "HOOK-1/2026/3/1/8/0c2c8a52-6a1e-4d0e-9a1c-2b1f0e7f9d11.json"
		for _, body := range []string{"first", "second, longer", "", "[{\"a\":\"é\x00\"}]"} {
			if err := s.Put(t.Context(), container, name, []byte(body)); err != nil {
				t.Fatal(err)
			}
			got, err := read(container, name)
			if err != nil || string(got) != body {
				t.Errorf("content = %q, %v; want %q", got, err, body)
			}
		}
	})
	t.Run("names", func(t *testing.T) {
		for _, tt := range [][2]string{
			{"..", "x"},
			{".", "x"},
			{"", "x"},
			{"/etc", "x"},
			{"a/b", "x"},
			{container, ""},
			{container, "."},
			{container, "../x"},
			{container, "../../x"},
			{container, "b/../../../x"},
			{container, "/x"},
			{container, "b//x"},
			{container, "b/"},
			{container, `..\x`},
			{container, "c:x"},
			{container, "x\x00y"},
			{container, ".hidden"},
			{container, strings.Repeat("x", 1025)},
		} {
			if err := s.Put(t.Context(), tt[0], tt[1], []byte("x")); !errors.Is(err, ErrName) {
				t.Errorf("Put(%.40q, %.40q) = %v, want ErrName", tt[0], tt[1], err)
			}
		}
	})
	t.Run("concurrently", func(t *testing.T) {
		bodies := [][]byte{bytes.Repeat([]byte("a"), 10_000), bytes.Repeat([]byte("b"), 20_000)}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				for _, name := range []string{"S/same.json", fmt.Sprintf("S/%d.json", i)} {
					if err := s.Put(t.Context(), container, name, bodies[i%2]); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got, err := read(container, "S/same.json")
		if err != nil || !bytes.Equal(got, bodies[0]) && !bytes.Equal(got, bodies[1]) {
			t.Errorf("%d bytes, %v: not the content of any one write", len(got), err)
		}
		for i := range 20 {
			if got, err := read(container, fmt.Sprintf("S/%d.json", i)); err != nil || !bytes.Equal(got, bodies[i%2]) {
				t.Errorf("S/%d.json: %d bytes, %v", i, len(got), err)
			}
		}
	})
	t.Run("given up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Put(ctx, container, "never.json", []byte("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("Put = %v, want the context's error", err)
		}
		if _, err := read(container, "never.json"); err == nil {
			t.Error("a blob was written")
		}
	})
}
