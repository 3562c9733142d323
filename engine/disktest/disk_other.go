//go:build !linux

package disktest

import (
	"errors"
	"testing"
)

// Disk is a mounted file system; here there is none.
type Disk struct {
	// Dir is its root.
	Dir string
}

// New ends the test.
func New(t testing.TB, _ int64) *Disk {
	t.Helper()
	missing(t, errors.ErrUnsupported)
	return nil
}

// Fill is not reached.
func (*Disk) Fill(testing.TB, int64) {}

// Release is not reached.
func (*Disk) Release(testing.TB) {}

// Free is not reached.
func (*Disk) Free(testing.TB) int64 { return 0 }
