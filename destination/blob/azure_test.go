package blob

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

const signed = "sv=2025-11-05&ss=b&srt=sco&sp=rwc&sig=s3cret%3D"

func TestNewAzureJudgesTheAddress(t *testing.T) {
	for _, tt := range []struct {
		address, reason string // "" when it is fine
	}{
		{"UseDevelopmentStorage=true", ""},
		{"usedevelopmentstorage=true;", ""},
		{emulator, ""},
		{"DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net", ""},
		{"BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=" + signed, ""},
		{"https://a.blob.core.windows.net/?" + signed, ""},
		{"https://a.blob.core.windows.net/dead?" + signed, ""},
		{"http://127.0.0.1:10000/devstoreaccount1?" + signed, ""},
		{"", "connection string"},
		{"s3cret", "connection string"},
		{"AccountName=a", "connection string"},
		{"AccountName=a;AccountKey=s3cret!", "connection string"},
		{"BlobEndpoint=ht\ntp://s3cret/;SharedAccessSignature=s3cret", "connection string"},
		{"https://a.blob.core.windows.net/", "no shared access signature"},
		{"https://a.blob.core.windows.net/dead/blob?" + signed, "names a blob"},
		{"https://?" + signed, "cannot be parsed"},
		{"https://s3cret\n/?" + signed, "cannot be parsed"},
	} {
		a, err := NewAzure(AzureOptions{Address: tt.address})
		if tt.reason == "" {
			if a == nil || err != nil {
				t.Errorf("NewAzure(%q) = %v", tt.address, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.reason) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("NewAzure(%q) = %v, want an error that says %q and no secret", tt.address, err, tt.reason)
		}
	}
}

func TestAzurePutExplainsFailures(t *testing.T) {
	for _, tt := range []struct {
		name, code string
		status     int
		want       error
		text       string
		tries      int64
	}{
		{"missing", "ContainerNotFound", 404, ErrMissing, "does not exist", 1},
		{"being deleted", "ContainerBeingDeleted", 409, nil, "answered 409 (ContainerBeingDeleted)", 1},
		{"disabled account", "AccountIsDisabled", 403, nil, "answered 403 (AccountIsDisabled)", 1},
		{"impossible", "InvalidResourceName", 400, ErrName, "not allowed", 1},
		{"busy", "ServerBusy", 503, nil, "answered 503 (ServerBusy)", 3},
		{"code that is none", "<s3cret>", 403, nil, "answered 403", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tries atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tries.Add(1)
				w.Header().Set("x-ms-error-code", tt.code)
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, "<Error>"+r.URL.String()+"</Error>")
			}))
			t.Cleanup(server.Close)
			a, err := NewAzure(AzureOptions{Address: server.URL + "/account?" + signed, HTTP: client(t)})
			if err != nil {
				t.Fatal(err)
			}
			err = a.Put(t.Context(), "dead", "x.json", []byte("[]"))
			if err == nil || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Put = %v, want %q and no secret", err, tt.text)
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Put = %v, want %v", err, tt.want)
			}
			if n := tries.Load(); n != tt.tries {
				t.Errorf("%d tries, want %d", n, tt.tries)
			}
		})
	}
}

func TestAzurePutToNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	a, err := NewAzure(AzureOptions{Address: "http://" + l.Addr().String() + "/account?" + signed, HTTP: client(t)})
	if err != nil {
		t.Fatal(err)
	}
	err = a.Put(t.Context(), "dead", "x.json", []byte("[]"))
	if _, ok := errors.AsType[*net.OpError](err); !ok || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Put = %v, want the network's error without the signature", err)
	}
}

func TestAzurePutEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	a, err := NewAzure(AzureOptions{Address: server.URL + "/account?" + signed, HTTP: client(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Put(ctx, "dead", "x.json", []byte("[]")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want the context's error", err)
	}
}
