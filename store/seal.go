package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/intertie/intertie/atomicfile"
)

// Sealer encrypts secrets at rest with AES-256-GCM. Each sealed text is bound
// to the name it was sealed for, so it cannot be moved to another resource.
type Sealer struct{ aead cipher.AEAD }

const masterKeyBytes = 32

// NewSealer returns a sealer for a key of 32 bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != masterKeyBytes {
		return nil, fmt.Errorf("master key has %d bytes, want %d", len(key), masterKeyBytes)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead: aead}, nil
}

// LoadMasterKey reads a key file: one line of base64 of 32 bytes. With create,
// a missing file is written with a fresh key, readable by its owner only.
func LoadMasterKey(path string, create bool) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		return createMasterKey(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("master key file %s is missing; without it the stored secrets cannot be opened: restore it", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read master key: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != masterKeyBytes {
		return nil, fmt.Errorf("master key file %s does not hold base64 of %d bytes", path, masterKeyBytes)
	}
	return key, nil
}

func createMasterKey(path string) ([]byte, error) {
	key := make([]byte, masterKeyBytes)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create master key: %w", err)
	}
	// Durable before anything is sealed with it.
	text := base64.StdEncoding.EncodeToString(key) + "\n"
	if err := atomicfile.Write(path, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("create master key: %w", err)
	}
	return key, nil
}

func (s *Sealer) seal(name string, plain []byte) []byte {
	nonce := make([]byte, s.aead.NonceSize())
	rand.Read(nonce)
	return s.aead.Seal(nonce, nonce, plain, []byte(name))
}

func (s *Sealer) open(name string, sealed []byte) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("sealed text is too short")
	}
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(name))
	if err != nil {
		return nil, errors.New("secrets cannot be opened: the master key is not the one they were sealed with")
	}
	return plain, nil
}
