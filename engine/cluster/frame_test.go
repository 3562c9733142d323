package cluster_test

import (
	"testing"

	"github.com/intertie/intertie/engine/cluster"
)

// Whatever is in a stream, reading it does no harm.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0, 1})
	f.Add([]byte{1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{1, 2, 'a', 'b', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, data []byte) { cluster.Decode(t, data) })
}
