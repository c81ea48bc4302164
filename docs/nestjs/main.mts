/** Streams from NestJS. Run it with `npx tsx --tsconfig docs/nestjs/tsconfig.json docs/nestjs/main.mts`. */
import 'reflect-metadata';
import { setTimeout } from 'node:timers/promises';
import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  Module,
  Next,
  NotFoundException,
  type OnModuleDestroy,
  Param,
  Post,
  Req,
  Res,
  UseGuards,
} from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { Channel, event, sse } from 'express-yield';

@Injectable()
class PriceService {
  readonly prices = new Channel<{ symbol: string; price: number }>();
}

class TokenGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { query } = context.switchToHttp().getRequest<Request>();
    return query.token !== 'expired'; // false: Nest's own 403, and no generator starts
  }
}

class QuotaExceeded extends Error {}

@Catch(QuotaExceeded)
class QuotaFilter implements ExceptionFilter<QuotaExceeded> {
  catch({ message }: QuotaExceeded, host: ArgumentsHost): void {
    const res = host.switchToHttp().getResponse<Response>();
    if (!res.headersSent) res.status(429).json({ message });
  }
}

@Controller()
@UseGuards(TokenGuard)
class StreamController {
  readonly #job: RequestHandler<{ id: string }> = sse(async function* ({ params: { id } }, res) {
    if (id === '0') throw new NotFoundException(); // before the first value: Nest's own 404
    if (id === '1') throw new QuotaExceeded('Try again tomorrow'); // the response of the filter
    for (let percent = 0; percent <= 100; percent += 20) {
      yield event('progress', { id, percent });
      await setTimeout(100, undefined, { signal: res.sse.signal });
    }
    return 'done';
  });
  readonly #prices: RequestHandler = sse(() => this.service.prices);

  constructor(@Inject(PriceService) private readonly service: PriceService) {}

  @Get('jobs/:id')
  job(@Req() req: Request<{ id: string }>, @Res() res: Response, @Next() next: NextFunction): void {
    this.#job(req, res, next);
  }

  @Get('prices')
  prices(@Req() req: Request, @Res() res: Response, @Next() next: NextFunction): void {
    this.#prices(req, res, next);
  }

  @Post('prices/:symbol/:price')
  publish(@Param('symbol') symbol: string, @Param('price') price: string): Promise<string> {
    return this.service.prices.publish({ symbol, price: Number(price) });
  }
}

@Module({
  controllers: [StreamController],
  providers: [PriceService, { provide: APP_FILTER, useClass: QuotaFilter }],
})
class AppModule implements OnModuleDestroy {
  async onModuleDestroy(): Promise<void> {
    await sse.close();
  }
}

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
app.enableShutdownHooks(); // on SIGTERM, Nest destroys its modules and closes the server
await app.listen(process.env.PORT ?? 3000);
