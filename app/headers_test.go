package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// echo answers with the header values that reach an edge.
type echo struct{ named }

func (echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, r.Proto+" ["+r.Header.Get("Aeg-Sas-Key")+"] ["+r.Header.Get("Aeg-Channel-Name")+"]")
}

// Blanks around header values are no part of them, over whatever protocol they
// come.
func TestBlanksAroundHeaderValues(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		f := newFront()
		f.publish = echo{}
		srv := httptest.NewUnstartedServer(f)
		srv.EnableHTTP2 = http2
		srv.StartTLS()
		t.Cleanup(srv.Close)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/x/api/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Aeg-Sas-Key"] = []string{" \tkey= \t"}
		r.Header["Aeg-Channel-Name"] = []string{" two words "}
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2] + " [key=] [two words]\n"
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
