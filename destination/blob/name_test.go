package blob

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestName(t *testing.T) {
	id := uuid.MustParse("0C2C8A52-6A1E-4D0E-9A1C-2B1F0E7F9D11")
	at := time.Date(2026, 3, 1, 0, 59, 0, 0, time.FixedZone("", -8*3600))
	got := Name("Hook-1", at, id)
	if want := "HOOK-1/2026/3/1/8/0c2c8a52-6a1e-4d0e-9a1c-2b1f0e7f9d11.json"; got != want {
		t.Errorf("Name = %q, want %q", got, want)
	}
	got = Name("h", time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC), id)
	if want := "H/2026/12/31/23/0c2c8a52-6a1e-4d0e-9a1c-2b1f0e7f9d11.json"; got != want {
		t.Errorf("Name = %q, want %q", got, want)
	}
}
