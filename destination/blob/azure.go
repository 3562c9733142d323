package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
)

// AzureOptions says where blobs go.
type AzureOptions struct {
	// Address is a connection string of a storage account (Azurite's, and
	// UseDevelopmentStorage=true for it, among them), or a URL with a shared
	// access signature: of an account, or of one container, which then is the
	// only one that there is.
	Address string
	// HTTP sends the requests; nil means a client that all users of the Azure
	// SDK share.
	HTTP *http.Client
}

// Azure is a [Store] in Azure Blob Storage, or in what speaks its protocol. It
// makes block blobs of type application/json, and no containers.
type Azure struct {
	// One of the two is set: the account, or the only container with its name.
	account *service.Client
	only    *container.Client
	name    string
}

// emulator is the address that UseDevelopmentStorage=true stands for. Its key is
// the same everywhere, and public.
const emulator = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;" +
	"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
	"BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1"

// NewAzure returns a store. It asks nobody; a wrong key shows when a blob is
// written. The error says that the address cannot be read, without repeating
// it.
func NewAzure(o AzureOptions) (*Azure, error) {
	options := policy.ClientOptions{
		// Whoever writes a dead letter tries again for hours. These tries only
		// bridge a short fault.
		Retry: policy.RetryOptions{MaxRetries: 2, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: time.Second},
	}
	if o.HTTP != nil {
		options.Transport = o.HTTP
	}
	if !strings.HasPrefix(o.Address, "https://") && !strings.HasPrefix(o.Address, "http://") {
		return fromConnectionString(o.Address, options)
	}
	u, err := sas.ParseURL(o.Address)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("the URL of the storage cannot be parsed")
	case u.SAS.Signature() == "":
		return nil, errors.New("the URL of the storage holds no shared access signature")
	case u.BlobName != "":
		return nil, errors.New("the URL of the storage names a blob; it must be that of an account or a container")
	case u.ContainerName != "":
		c, err := container.NewClientWithNoCredential(o.Address, &container.ClientOptions{ClientOptions: options})
		if err != nil {
			return nil, errors.New("the URL of the storage is not valid")
		}
		return &Azure{only: c, name: u.ContainerName}, nil
	}
	c, err := service.NewClientWithNoCredential(o.Address, &service.ClientOptions{ClientOptions: options})
	if err != nil {
		return nil, errors.New("the URL of the storage is not valid")
	}
	return &Azure{account: c}, nil
}

func fromConnectionString(text string, options policy.ClientOptions) (*Azure, error) {
	if strings.EqualFold(strings.Trim(text, "; "), "UseDevelopmentStorage=true") {
		text = emulator
	}
	c, err := service.NewClientFromConnectionString(text, &service.ClientOptions{ClientOptions: options})
	if err != nil || !reachable(c.URL()) {
		// The cause may quote a signature.
		return nil, errors.New("the connection string of the storage is not valid: it needs AccountName and AccountKey, or BlobEndpoint and SharedAccessSignature")
	}
	return &Azure{account: c}, nil
}

// reachable reports whether an endpoint could be one: the SDK does not look at
// what a connection string says.
func reachable(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// Put implements [Store].
func (a *Azure) Put(ctx context.Context, container, name string, body []byte) error {
	if err := a.put(ctx, container, name, body); err != nil {
		return fmt.Errorf("put blob %q in container %q: %w", name, container, err)
	}
	return nil
}

func (a *Azure) put(ctx context.Context, container, name string, body []byte) error {
	if !possible(container, name) {
		return ErrName
	}
	c, err := a.container(container)
	if err != nil {
		return err
	}
	_, err = c.NewBlockBlobClient(name).Upload(ctx, streaming.NopCloser(bytes.NewReader(body)), &blockblob.UploadOptions{
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: new("application/json")},
	})
	return explain(ctx, err)
}

func (a *Azure) container(name string) (*container.Client, error) {
	switch {
	case a.only == nil:
		return a.account.NewContainerClient(name), nil
	case name != a.name:
		return nil, ErrMissing
	}
	return a.only, nil
}

// explain makes an error of the service into one of [Store]'s. It passes on no
// text of the SDK, which holds headers, answers and URLs with signatures.
func explain(ctx context.Context, err error) error {
	var (
		answer *azcore.ResponseError
		dial   *url.Error
	)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case bloberror.HasCode(err, bloberror.ContainerNotFound, bloberror.ResourceNotFound):
		return ErrMissing
	case bloberror.HasCode(err, bloberror.InvalidResourceName, bloberror.InvalidURI, bloberror.OutOfRangeInput):
		return ErrName
	case errors.As(err, &answer):
		return fmt.Errorf("the storage answered %d%s", answer.StatusCode, code(answer.ErrorCode))
	case errors.As(err, &dial):
		return dial.Err
	default:
		return errors.New("the storage could not be asked")
	}
}

// code words a code of the service, if it looks like one.
func code(s string) string {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	if s == "" || len(s) > 64 {
		return ""
	}
	return " (" + s + ")"
}
