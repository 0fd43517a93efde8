using HostedApp;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

// dotnet run --project examples/HostedApp -- --App:ContextPath=build.log --App:Question="Which step failed first, and why?"
var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { Args = args, ContentRootPath = AppContext.BaseDirectory });
builder.Logging.ClearProviders().AddConsole(options => options.LogToStandardErrorThreshold = LogLevel.Trace);
builder.Services.AddDeepRecall(builder.Configuration.GetSection("DeepRecall"));
builder.Services.Configure<AppOptions>(builder.Configuration.GetSection("App"));
builder.Services.AddHostedService<QuestionService>();
using var host = builder.Build();
try
{
    await host.RunAsync();
    return Environment.ExitCode;
}
catch (OptionsValidationException error)
{
    // Before anything has started: a setting is missing or wrong, and each failure names its key.
    await Console.Error.WriteLineAsync(string.Join(Environment.NewLine, error.Failures));
    return 2;
}
