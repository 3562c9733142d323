package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
)

// needed fails the test where external parts must be there, and skips it
// elsewhere.
func needed(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("INTERTIE_REQUIRE_EXTERNAL") == "1" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("%s is missing", what)
}

// listener is the standard output of a server that says where it listens.
type listener struct {
	mu   sync.Mutex
	text bytes.Buffer
	url  chan string // gets the address, once
}

var listens = regexp.MustCompile(`successfully listens on (http://\S+)`)

// Write implements [io.Writer].
func (l *listener) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if m := listens.FindSubmatch(l.text.Bytes()); m != nil && l.url != nil {
		l.url <- string(m[1])
		l.url = nil
	}
	return len(b), nil
}

// azurite starts Microsoft's emulator of the storage service (npm package
// azurite) on a free port, and returns where it listens.
func azurite(t *testing.T) string {
	t.Helper()
	program := "azurite-blob"
	if modules := os.Getenv("INTERTIE_NODE_MODULES"); modules != "" {
		program = filepath.Join(modules, ".bin", program)
	}
	program, err := exec.LookPath(program)
	if err != nil {
		needed(t, "azurite-blob of the npm package azurite (INTERTIE_NODE_MODULES, or on the PATH)")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, program, "--blobHost", "127.0.0.1", "--blobPort", "0",
		"--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
	cmd.Dir = t.TempDir()
	url := make(chan string, 1)
	out := &listener{url: url}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() { cancel(); <-ended })
	select {
	case u := <-url:
		return u
	case <-ended:
		t.Fatalf("azurite ended: %s", out.text.Bytes())
	}
	return ""
}

// client returns an HTTP client of the test's own.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestAzureAgainstAzurite(t *testing.T) {
	url := azurite(t) + "/devstoreaccount1"
	connection := strings.ReplaceAll(emulator, "http://127.0.0.1:10000/devstoreaccount1", url)
	web := client(t)
	// The peer that makes containers and reads blobs is the SDK itself.
	admin, err := service.NewClientFromConnectionString(connection,
		&service.ClientOptions{ClientOptions: policy.ClientOptions{Transport: web}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dead", "other"} {
		if _, err := admin.CreateContainer(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	read := func(container, name string) ([]byte, error) {
		resp, err := admin.NewContainerClient(container).NewBlobClient(name).DownloadStream(t.Context(), nil)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		return io.ReadAll(resp.Body)
	}
	open := func(t *testing.T, address string) *Azure {
		t.Helper()
		a, err := NewAzure(AzureOptions{Address: address, HTTP: web})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	until := time.Now().Add(time.Hour)
	account, err := admin.GetSASURL(
		sas.AccountResourceTypes{Service: true, Container: true, Object: true},
		sas.AccountPermissions{Write: true, Create: true}, until, nil,
	)
	if err != nil {
		t.Fatal(err)
	}
	container, err := admin.NewContainerClient("dead").GetSASURL(sas.ContainerPermissions{Write: true, Create: true}, until, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, signature, _ := strings.Cut(account, "?")
	for name, address := range map[string]string{
		"connection string":     connection,
		"connection string SAS": "BlobEndpoint=" + url + ";SharedAccessSignature=" + signature,
		"account SAS":           account,
		"container SAS":         container,
	} {
		t.Run(name, func(t *testing.T) { testStore(t, open(t, address), "dead", read) })
	}

	t.Run("makes block blobs of JSON", func(t *testing.T) {
		if err := open(t, connection).Put(t.Context(), "dead", "HOOK/2026/3/1/8/x.json", []byte("[]")); err != nil {
			t.Fatal(err)
		}
		p, err := admin.NewContainerClient("dead").NewBlobClient("HOOK/2026/3/1/8/x.json").GetProperties(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if *p.ContentType != "application/json" || *p.BlobType != "BlockBlob" {
			t.Errorf("the blob is a %s of %s", *p.BlobType, *p.ContentType)
		}
	})

	wrongKey := strings.Replace(connection, "AccountKey=Eby8", "AccountKey=AAAA", 1)
	for _, tt := range []struct {
		name, address, container string
		want                     error // nil: one that may pass
		text                     string
	}{
		{"missing container", connection, "nowhere", ErrMissing, "does not exist"},
		{"missing container, SAS", account, "nowhere", ErrMissing, "does not exist"},
		{"other container than the SAS is for", container, "other", ErrMissing, "does not exist"},
		{"impossible container", connection, "Not_A_Name", ErrName, "not allowed"},
		{"wrong key", wrongKey, "dead", nil, "the storage answered 403 (AuthorizationFailure)"},
		{"wrong signature", strings.Replace(account, "sig=", "sig=x", 1), "dead", nil, "the storage answered 403"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := open(t, tt.address).Put(t.Context(), tt.container, "x.json", []byte("[]"))
			if err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("Put = %v, want %q", err, tt.text)
			}
			for _, final := range []error{ErrMissing, ErrName} {
				if is := errors.Is(err, final); is != errors.Is(tt.want, final) {
					t.Errorf("errors.Is(%v, %v) = %v", err, final, is)
				}
			}
			if _, ok := errors.AsType[*azcore.ResponseError](err); ok || strings.Contains(err.Error(), "sig=") {
				t.Errorf("the error holds what the service said: %v", err)
			}
		})
	}
	if _, err := admin.NewContainerClient("nowhere").GetProperties(t.Context(), nil); err == nil {
		t.Error("a container was made")
	}
}
