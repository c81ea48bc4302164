/** Streams from NestJS. Run it with `npx tsx --tsconfig docs/nestjs/tsconfig.json docs/nestjs/main.mts`. */
import 'reflect-metadata';
import { setTimeout } from 'node:timers/promises';
import {
  Controller,
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
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { Channel, event, sse } from 'express-yield';

@Injectable()
class PriceService {
  readonly prices = new Channel<{ symbol: string; price: number }>();
}

@Controller()
class StreamController {
  readonly #job: RequestHandler<{ id: string }> = sse(async function* ({ params: { id } }, res) {
    if (id === '0') throw new NotFoundException(); // before the first value: Nest's own 404
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

@Module({ controllers: [StreamController], providers: [PriceService] })
class AppModule implements OnModuleDestroy {
  async onModuleDestroy(): Promise<void> {
    await sse.close();
  }
}

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
app.enableShutdownHooks(); // on SIGTERM, Nest destroys its modules and closes the server
await app.listen(process.env.PORT ?? 3000);
