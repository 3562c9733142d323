package app

import "testing"

func TestConnectionsLeaveDescriptors(t *testing.T) {
	for descriptors, want := range map[uint64]int{0: 16384, 20: 16, 1024: 256, 4096: 1024, 1 << 20: 16384, 1<<64 - 1: 16384} {
		if got := connections(descriptors); got != want {
			t.Errorf("%d descriptors: %d connections, want %d", descriptors, got, want)
		}
	}
}
