using System.Net.Sockets;
using System.Runtime.InteropServices;
using Quench.Blocks.Devices;
using Quench.Exports.Nbd;

namespace Quench.Benchmarks;

/// <summary>Serves a raw file over NBD as `quench serve volume` serves a device, so that the server alone is measured.</summary>
internal static class NbdBench
{
    internal static async Task<int> ServeAsync(string file, string socket)
    {
        TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using PosixSignalRegistration end = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;
            ended.TrySetResult();
        });
        await using NbdExport export = NbdExport.Writable("", "", new BlockingDisk(ImageFile.Open(file, DeviceAccess.ReadWrite, exclusive: false)));
        await using NbdServer server = NbdServer.Listen(new UnixDomainSocketEndPoint(socket), new NbdServerOptions { Exports = [export] });
        await ended.Task;
        return 0;
    }
}
