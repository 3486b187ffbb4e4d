using System.Globalization;
using Quench.Benchmarks;

// usage: Quench.Benchmarks vault-index make|open|insert FOLDER COUNT
//        Quench.Benchmarks nbd FILE SOCKET
if (args is ["nbd", var file, var socket])
{
    return await NbdBench.ServeAsync(file, socket);
}

if (args is not ["vault-index", var verb, var folder, var count] || !int.TryParse(count, CultureInfo.InvariantCulture, out int chunks) || chunks <= 0)
{
    Console.Error.WriteLine("usage: Quench.Benchmarks vault-index make|open|insert FOLDER COUNT\n       Quench.Benchmarks nbd FILE SOCKET");
    return 2;
}

IndexBench bench = new(folder, chunks);
await (verb switch
{
    "make" => bench.MakeAsync(),
    "open" => bench.OpenAsync(),
    _ => bench.InsertAsync(),
});
return 0;
