package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// receiver is the webhook server of one customer: a path for each mailbox. It
// answers the CloudEvents handshake and books what arrives.
type receiver struct {
	customer string
	ledger   *ledger
	server   *http.Server
	url      string
	served   chan error
}

// startReceiver listens on a free loopback port. stop must be called.
func startReceiver(customer string, l *ledger) (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the receiver of %s: %w", customer, err)
	}
	r := &receiver{
		customer: customer,
		ledger:   l,
		url:      "http://" + listener.Addr().String(),
		served:   make(chan error, 1),
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

// stop ends the server and waits for it. Deliveries under way are cut.
func (r *receiver) stop(context.Context) error {
	err := r.server.Close()
	if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(served, err)
	}
	return err
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	box := strings.Trim(req.URL.Path, "/")
	switch req.Method {
	case http.MethodOptions:
		w.Header().Set("WebHook-Allowed-Origin", req.Header.Get("WebHook-Request-Origin"))
		w.Header().Set("WebHook-Allowed-Rate", "*")
		w.Header().Set("Allow", "POST, OPTIONS")
	case http.MethodPost:
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 2<<20))
		if err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		events, err := decodeEvents(req.Header.Get("Content-Type"), body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, e := range events {
			r.ledger.arrived(place{r.customer, box}, e.ID, e.order())
		}
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

type delivered struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data struct {
		Total float64 `json:"total"`
	} `json:"data"`
}

func (d delivered) order() order {
	number, _ := strconv.Atoi(strings.TrimPrefix(d.ID, "order-")) // only shown
	return order{number: number, kind: d.Type, total: d.Data.Total}
}

func decodeEvents(contentType string, body []byte) ([]delivered, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, fmt.Errorf("content type %q: %w", contentType, err)
	}
	switch media {
	case "application/cloudevents+json":
		var one delivered
		if err := json.Unmarshal(body, &one); err != nil {
			return nil, err
		}
		return []delivered{one}, nil
	case "application/cloudevents-batch+json":
		var many []delivered
		if err := json.Unmarshal(body, &many); err != nil {
			return nil, err
		}
		return many, nil
	}
	return nil, fmt.Errorf("unexpected content type %q", contentType)
}
