using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Quench.Exports.Nbd;

/// <summary>How the server does TLS.</summary>
internal static class NbdTlsOptions
{
    internal static SslServerAuthenticationOptions For(NbdTls tls)
    {
        SslServerAuthenticationOptions options = new()
        {
            ServerCertificate = tls.Certificate,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            ClientCertificateRequired = tls.ClientAuthorities is not null,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck, // authorities of one's own publish no lists
        };
        if (tls.ClientAuthorities is { } authorities)
        {
            options.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
            options.RemoteCertificateValidationCallback = static (_, certificate, _, errors) => certificate is not null && errors == SslPolicyErrors.None;
        }

        return options;
    }
}
