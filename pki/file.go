package pki

import (
	"fmt"
	"os"
)

// tighten takes a key file away from group and others, as after a careless
// copy or restore.
func tighten(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at the key file: %w", err)
	}
	if st.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("restrict the key file: %w", err)
	}
	return nil
}
